"""A short recorded stream of each dialect, cut into its frames by a reader that shares no code with the meters."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from headgate.dialects import registry
from headgate.dialects.base import Answer, Dialect
from headgate.testing.corpus import Case
from headgate.testing.upstream import Step, chunk, head
from tests.e2e.raw import Headers
from tests.e2e.test_corpus import CASES, INCLUDE_USAGE, provider_of, way_of


def frames_of(case: Case) -> list[bytes]:
    """The body in frames, each with its end; what is between the elements of an array goes with the one before."""
    body = case.body
    match case.framing:
        case "sse":
            return re.findall(rb".+?(?:\r\n\r\n|\n\n|\Z)", body, re.DOTALL)
        case "ndjson":
            return body.splitlines(keepends=True)
        case "eventstream":
            found = []
            while body:
                length = int.from_bytes(body[:4])
                found.append(body[:length])
                body = body[length:]
            return found
        case _:
            text, found, at = body.decode(), [], body.index(b"[") + 1
            while (start := text.find("{", at)) >= 0:
                _, end = json.JSONDecoder().raw_decode(text, start)
                found.append(text[at if found else 0 : end].encode())
                at = end
            return [*found, text[at:].encode()]


@dataclass(frozen=True)
class Stream:
    """A recorded stream and how to ask for it."""

    case: Case
    frames: tuple[bytes, ...]

    @property
    def dialect(self) -> Dialect:
        return registry.by_name(way_of(self.case).dialect)

    @property
    def path(self) -> str:
        return way_of(self.case).path

    @property
    def headers(self) -> Headers:
        return [("x-provider", self.provider)]

    @property
    def provider(self) -> str:
        return provider_of(self.case)

    @property
    def request(self) -> bytes:
        model = self.case.model or "some-model"
        asked = {"model": model, "stream": True, **way_of(self.case).request}
        if self.dialect.name in INCLUDE_USAGE:  # so that no frame is taken out again
            asked["stream_options"] = {"include_usage": True}
        return json.dumps(asked).encode()

    def begin(self, frames: int) -> list[Step]:
        """Its head, and so many frames, each in a write of its own."""
        return [head(content_type=self.case.content_type), *map(chunk, self.frames[:frames])]


_WANTED = {
    "openai.chat": "openai.chat",
    "openai.completions": "openai.completions",
    "openai.responses": "openai.responses",
    "anthropic.messages": "anthropic.messages",
    "google.generate_content": "google.generate_content",
    "vertex.generate_content": "google.generate_content",
    "cohere": "cohere",
    "ollama": "ollama",
    "bedrock.converse": "bedrock.converse-stream",
    "bedrock.invoke": "bedrock.invoke-with-response-stream",
}
"""Our dialects that stream, and the recordings' own."""


def _shortest(dialect: str, wire_dialect: str, framing: str | None = None) -> Stream:
    """The shortest that has a few frames and no error in it."""
    found = [
        Stream(case, tuple(frames_of(case)))
        for case in CASES
        if case.stream and case.status in (200, None) and case.wire_dialect == wire_dialect
    ]
    fitting = [
        stream
        for stream in found
        if way_of(stream.case).dialect == dialect
        and len(stream.frames) > 2
        and _ends_well(stream)
        and (stream.case.framing == framing or (framing is None and _framed(stream)))
    ]
    return min(fitting, key=lambda stream: len(stream.case.body))


def _ends_well(stream: Stream) -> bool:
    meter = stream.dialect.meter(Answer(200, stream.case.content_type))
    meter.feed(stream.case.body)
    reading = meter.finish(ended=True)
    return reading.terminal_evidence is not None and reading.in_stream_error is None and not reading.anomalies


def _framed(stream: Stream) -> bool:
    """Of the framing whose streams an error can be told in."""
    return stream.case.content_type.startswith(stream.dialect.stream_type)


STREAMS: Mapping[str, Stream] = {dialect: _shortest(dialect, wire) for dialect, wire in _WANTED.items()}
"""By dialect."""

ARRAY = _shortest("google.generate_content", "google.generate_content", "json-array")
"""Gemini's stream without `alt=sse`: a JSON array."""

LINES = _shortest("cohere", "cohere", "ndjson")
"""Cohere's stream of its first version: JSON lines."""
