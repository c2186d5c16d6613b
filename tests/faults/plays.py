"""What is played: a recorded answer, how it is sent, and what goes wrong on the way."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from headgate.testing import corpus
from headgate.testing.corpus import Case
from headgate.testing.faults import (
    NO_FAULTS,
    Corrupt,
    Cut,
    Delay,
    Fault,
    Faults,
    HalfClose,
    Reset,
    Script,
    Stall,
    Trickle,
)
from headgate.testing.upstream import Coding

MODEL = "a-model"
MESSAGES = [{"role": "user", "content": "Hi there. " * 20}]
PARTS = [{"role": "user", "parts": [{"text": "Hi there. " * 20}]}]
BLOCKS = [{"role": "user", "content": [{"text": "Hi there. " * 20}]}]
CAP = 400
"""Tokens of output that each request allows."""
LARGEST_BODY = 12_000


@dataclass(frozen=True)
class Way:
    """How to ask for a recorded answer."""

    dialect: str
    provider: str
    path: str
    request: Mapping[str, Any]


CHAT = Way("openai.chat", "openai", "/v1/chat/completions", {"model": MODEL, "messages": MESSAGES, "max_tokens": CAP})
COHERE = Way("cohere", "cohere", "/v2/chat", {"model": MODEL, "messages": MESSAGES, "max_tokens": CAP})
CONVERSE = Way(
    "bedrock.converse", "bedrock", f"/model/{MODEL}/converse",
    {"messages": BLOCKS, "inferenceConfig": {"maxTokens": CAP}},
)  # fmt: skip
GOOGLE = Way(
    "google.generate_content", "google", f"/v1beta/models/{MODEL}:",
    {"contents": PARTS, "generationConfig": {"maxOutputTokens": CAP}},
)  # fmt: skip
WAYS = {
    "openai.chat": CHAT,
    "openai.responses": Way(
        "openai.responses", "openai", "/v1/responses", {"model": MODEL, "input": "Hi there.", "max_output_tokens": CAP}
    ),
    "anthropic.messages": Way(
        "anthropic.messages", "anthropic", "/v1/messages", {"model": MODEL, "messages": MESSAGES, "max_tokens": CAP}
    ),
    "google.generate_content": GOOGLE,
    "bedrock.converse": CONVERSE,
    "bedrock.converse-stream": CONVERSE,
    "cohere": COHERE,
    "ollama": Way(
        "ollama", "ollama", "/api/chat", {"model": MODEL, "messages": MESSAGES, "options": {"num_predict": CAP}}
    ),
}
"""By wire dialect."""

PROVIDERS = sorted({way.provider for way in WAYS.values()})


def _chosen(cases: Sequence[Case], most: int) -> list[Case]:
    """A few of many, spread over their lengths."""
    by_length = sorted(cases, key=lambda case: (len(case.body), case.id))
    step = max(1, len(by_length) // most)
    return by_length[step - 1 :: step][:most]


def _playable(case: Case, most: int = LARGEST_BODY) -> bool:
    bare = case.api_path.partition("?")[0]
    google = case.wire_dialect == "google.generate_content"
    return (
        case.wire_dialect in WAYS
        and case.status == 200
        and len(case.body) <= most
        and (not google or bare.startswith("/v1beta/"))
        and (case.wire_dialect != "cohere" or bare == "/v2/chat")
    )


_CORPUS = corpus.load(Path(__file__).parents[1] / "corpus.tar.xz")
_KINDS = sorted({(case.wire_dialect, case.framing, case.stream) for case in _CORPUS if _playable(case)})
CASES = [
    case
    for kind in _KINDS
    for case in _chosen(
        [case for case in _CORPUS if _playable(case) and (case.wire_dialect, case.framing, case.stream) == kind],
        6 if kind[2] else 2,
    )
]
"""Several of each dialect and framing, streamed and not."""

LARGE = sorted((case for case in _CORPUS if _playable(case, 1 << 20)), key=lambda case: (len(case.body), case.id))[-4:]
"""Larger than what lies between the gateway and a client that takes nothing."""


@dataclass(frozen=True, repr=False)
class Play:
    """Requests, one after the other on one connection, and what happens to them."""

    case: Case
    pieces: tuple[bytes, ...]
    """The writes that the provider makes of its answer."""
    coding: Coding = Coding.CHUNKED
    asks_usage: bool = True
    """Whether the client asks for a stream's usage itself, in the dialects where it can."""
    drains: bool = False
    """What becomes of the upstream when the client leaves."""
    client_side: Faults = NO_FAULTS
    provider_side: tuple[Faults, ...] = (NO_FAULTS,)
    """By connection; the last stands for all that follow."""
    requests: int = 1
    zipped: bool = False
    """The pieces are of the answer as gzip has it."""

    def __repr__(self) -> str:
        sides = f"client_side={self.client_side}, provider_side={self.provider_side}"
        asks = f"asks_usage={self.asks_usage}, drains={self.drains}, requests={self.requests}, zipped={self.zipped}"
        return f"Play({self.case.id}, {[*map(len, self.pieces)]}, {self.coding}, {asks}, {sides})"

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))

    @property
    def way(self) -> Way:
        return WAYS[self.case.wire_dialect]

    @property
    def path(self) -> str:
        way, case = self.way, self.case
        if way is CONVERSE:
            return way.path + "-stream" if case.stream else way.path
        if way is GOOGLE:
            verb = "streamGenerateContent" if case.stream else "generateContent"
            return way.path + verb + ("?alt=sse" if case.framing == "sse" else "")
        return way.path

    @property
    def strips(self) -> bool:
        """Headgate asks for the usage, and takes its frame out again."""
        return self.way is CHAT and self.case.stream and not self.asks_usage and not self.zipped

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Of the answer."""
        return [(b"content-encoding", b"gzip")] if self.zipped else []

    @property
    def corrupts(self) -> bool:
        """The provider's bytes are not what it sent."""
        return any(isinstance(fault, Corrupt) for faults in self.provider_side for fault in faults.down)

    def request(self) -> bytes:
        """A request, head and body."""
        way, case = self.way, self.case
        body = dict(way.request)
        if way not in (CONVERSE, GOOGLE):
            body["stream"] = case.stream
        if way is CHAT and case.stream and self.asks_usage:
            body["stream_options"] = {"include_usage": True}
        said = json.dumps(body).encode()
        lines = [
            f"POST {self.path} HTTP/1.1",
            "host: gateway",
            "content-type: application/json",
            f"authorization: Bearer {KEY}",
            f"x-provider: {way.provider}{'-drained' if self.drains else ''}",
            f"content-length: {len(said)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + said


KEY = "hg-a-key-that-is-good-for-everything"


def _places(length: int) -> st.SearchStrategy[int]:
    """Bytes of a direction: the head, and what follows it up to a little beyond the end."""
    return st.one_of(st.integers(0, 400), st.integers(0, length + 300))


def _faults(length: int, *, stalls: bool = True) -> st.SearchStrategy[Script]:
    at = _places(length)
    kinds: list[st.SearchStrategy[Fault]] = [
        st.builds(Cut, at),
        st.builds(Reset, at),
        st.builds(HalfClose, at),
        st.builds(Corrupt, at, st.integers(1, 255)),
        st.builds(Delay, at, st.sampled_from([0.01, 0.05])),
        st.builds(Trickle, at, st.sampled_from([1, 7, 100, 1000]).map(lambda piece: max(piece, length // 2000))),
    ]
    if stalls:
        kinds.append(st.builds(Stall, at))
    return st.lists(st.one_of(kinds), max_size=2).map(tuple)


def _either(length: int) -> st.SearchStrategy[Faults]:
    """Faults of one connection: most often in one direction."""
    up, down = _faults(900), _faults(length)
    return st.one_of(
        st.just(NO_FAULTS), st.builds(Faults, down=down), st.builds(Faults, down=down), st.builds(Faults, up=up),
        st.builds(Faults, up, down),
    )  # fmt: skip


@st.composite
def plays(draw: st.DrawFn) -> Play:
    """Any play."""
    case = draw(st.sampled_from(LARGE if draw(st.integers(0, 7)) == 7 else CASES))
    zipped = draw(st.sampled_from([False, False, False, True]))
    body = gzip.compress(case.body, mtime=0) if zipped else case.body
    length = len(body)
    cuts = draw(st.lists(st.integers(1, max(1, length - 1)), max_size=8))
    ends = sorted({cut for cut in cuts if cut < length} | {length})
    pieces = tuple(body[a:b] for a, b in zip([0, *ends], ends, strict=False))
    codings = [Coding.CHUNKED, Coding.CLOSE] if case.stream else list(Coding)
    requests = draw(st.sampled_from([1, 1, 1, 2]))
    return Play(
        case=case,
        pieces=pieces,
        coding=draw(st.sampled_from(codings)),
        asks_usage=draw(st.booleans()),
        drains=draw(st.booleans()),
        client_side=draw(_either(length)),
        provider_side=tuple(draw(st.lists(_either(length), min_size=1, max_size=2))),
        requests=requests,
        zipped=zipped,
    )
