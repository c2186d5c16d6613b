"""What is asked and what must come back, byte for byte. Pure: upstream and load generator both work it out from here.

The script of an answer travels in the model's name, so that it passes through any gateway that leaves the body alone
or edits only what it must; the API is told by the path as well, so that no gateway can answer in another.
"""

import json
import re
from dataclasses import dataclass
from functools import cache

from bench.apis import WIRES, Meaning, Wire
from bench.apis.base import SERVED_MODEL

__all__ = [
    "KEY",
    "SERVED_MODEL",
    "Script",
    "expected_body",
    "expected_meaning",
    "frames",
    "lasting",
    "meaning",
    "request",
]

_MODEL = re.compile(r"bench-([a-z]+)-(\d+)x(\d+)-(\d+)ms")
_SENTENCE = "The gate at the head of the canal lets water through and measures it. "
_PROMPTS = {1: _SENTENCE * 13, 100: _SENTENCE * 1440}
"""By their size in KB of the whole body."""
KEY = "hg-bench-0123456789abcdef0123456789abcdef"
"""The key that every request brings: the operator's for one gateway, a virtual one with an account for another."""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: a document, or a stream of equal content frames; and how large the question is.

    Args:
        chunks: content frames of the stream; 0 for a document.
        rate: content frames per second; 0 for as fast as they go.
        first_ms: milliseconds from the request's end to the first byte.
        api: one of `WIRES`.
        prompt_kb: 1 or 100.
    """

    chunks: int = 0
    rate: int = 0
    first_ms: int = 0
    api: str = "chat"
    prompt_kb: int = 1

    @property
    def model(self) -> str:
        """The model name that asks for this script."""
        return f"bench-{self.api}-{self.chunks}x{self.rate}-{self.first_ms}ms"

    @property
    def wire(self) -> Wire:
        """The API."""
        return WIRES[self.api]

    @property
    def frame_size(self) -> int:
        """Bytes of every content frame."""
        return len(self.wire.content(0))


def lasting(rate: int, seconds: float, api: str = "chat") -> Script:
    """A stream that outlasts a measurement."""
    return Script(chunks=int(rate * seconds), rate=rate, api=api)


def script_of(body: bytes) -> tuple[Script, bool]:
    """The script that a request body asks for, its prompt apart, and whether it asks for the usage frame.

    Raises ValueError if the model is not one of `Script.model`.
    """
    asked = json.loads(body)
    named = _MODEL.fullmatch(asked["model"])
    if named is None:
        raise ValueError(f"model {asked['model']!r} names no script")
    chunks, rate, first_ms = map(int, named.groups()[1:])
    usage = bool((asked.get("stream_options") or {}).get("include_usage"))
    return Script(chunks, rate, first_ms, named[1]), usage


def request_body(script: Script, *, ask_usage: bool = False) -> bytes:
    """A request of about 1 KB, or 100."""
    asked = script.wire.ask(script.model, _PROMPTS[script.prompt_kb])
    if script.chunks:
        asked["stream"] = True
    if ask_usage:
        asked["stream_options"] = {"include_usage": True}
    return json.dumps(asked).encode()


def request(script: Script, host: str, more: bytes = b"") -> bytes:
    """The whole HTTP request, keep-alive, with as many headers as official SDKs send: they cost a gateway time.

    `more` are whole header lines that a gateway needs in order to know what to do.
    """
    body, wire = request_body(script), script.wire
    head = (
        b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-length: %d\r\n"
        b"accept: application/json\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n"
    ) % (wire.path.encode(), host.encode(), len(body))
    return head + wire.auth + KEY.encode() + b"\r\n" + wire.sdk + more + b"\r\n" + body


@cache
def frames(api: str, chunks: int) -> tuple[bytes, ...]:
    """The content frames of a stream."""
    return tuple(map(WIRES[api].content, range(chunks)))


@cache
def expected_body(script: Script, *, ask_usage: bool = False) -> bytes:
    """The body that a client must receive through whatever leaves answers alone."""
    wire = script.wire
    if not script.chunks:
        return wire.document()
    closing = wire.closing_asked if ask_usage else wire.closing
    return wire.opening() + b"".join(frames(script.api, script.chunks)) + closing(script.chunks)


@cache
def expected_meaning(script: Script) -> Meaning:
    """What a client must read in it, through whatever writes answers anew."""
    return meaning(script, expected_body(script))


def meaning(script: Script, body: bytes) -> Meaning:
    """What a client reads in this body. Raises ValueError, LookupError or TypeError if it is no answer."""
    read = script.wire.read_stream if script.chunks else script.wire.read_document
    return read(body)
