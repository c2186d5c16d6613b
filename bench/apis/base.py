"""What the APIs have in common. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

SERVED_MODEL = "bench-model-2026-11-20"
"""The model that every answer names, whatever was asked for."""
CREATED = 1_700_000_000
PROMPT_TOKENS, CACHED_TOKENS = 200, 128
"""What every answer says it read."""
DOCUMENT_BYTES = 1024
"""Of every answer that is not streamed, but for Responses, whose envelope alone is larger than that."""
DOCUMENT_TOKENS = 170
MARK = b" token"
"""Stands once in every content frame, also where a gateway writes it anew."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a client makes of an answer."""

    text: str
    whole: bool
    """It ended as its API ends it."""
    output_tokens: int | None
    """As the answer tells them; None where the client did not ask for them."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One API.

    Args:
        name: as scripts and figures name it.
        path: below the host.
        auth: the header line that carries the key, without the key.
        sdk: the header lines by which an official SDK shows itself.
        ask: a request for a model, with a prompt.
        document: the body of an answer that is not streamed.
        opening: what comes before the first content frame, and is sent with it.
        content: a content frame; all have one size, and no two of a stream are equal, so a lost or swapped one shows.
        closing: what ends a stream of so many content frames.
        closing_asked: the same, where the client asked for usage; not every API waits for that.
        read_document: what the body of a document means. Raises ValueError, LookupError or TypeError if it is none.
        read_stream: what the body of a stream means. Raises likewise.
    """

    name: str
    path: str
    auth: bytes
    sdk: bytes
    ask: Callable[[str, str], dict[str, object]]
    document: Callable[[], bytes]
    opening: Callable[[], bytes]
    content: Callable[[int], bytes]
    closing: Callable[[int], bytes]
    closing_asked: Callable[[int], bytes]
    read_document: Callable[[bytes], Meaning]
    read_stream: Callable[[bytes], Meaning]


def token(index: int) -> str:
    """The text of a content frame."""
    return f"{MARK.decode()}{index:06d}"


def said(chunks: int) -> str:
    """The text of a stream."""
    return "".join(map(token, range(chunks)))


def compact(value: Mapping[str, object]) -> bytes:
    """JSON as the providers write it into streams."""
    return json.dumps(value, separators=(",", ":")).encode()


def named_event(event: Mapping[str, object], spaces: int = 0) -> bytes:
    """A frame with its type in a line of its own, and blanks before the last brace where a provider pads with them."""
    data = compact(event)
    return b"event: %b\ndata: %b%b}\n\n" % (str(event["type"]).encode(), data[:-1], b" " * spaces)


def padded(write: Callable[[str], bytes], size: int) -> bytes:
    """A document whose text makes it so many bytes."""
    return write("w" * max(1, size - len(write(""))))


def events(body: bytes) -> Iterator[bytes]:
    """The data of each server-sent event."""
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        for line in block.split(b"\n"):
            if line.startswith(b"data:"):
                yield line[5:].strip()
