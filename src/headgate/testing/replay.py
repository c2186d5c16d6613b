"""Plays packaged recordings of real providers at a live model's pace: an upstream that needs no key and no network.

Run as a process of its own: `python -m headgate.testing.replay --port 9000`. It prints its address on the first line,
then answers `POST .../chat/completions`, `.../responses`, `.../messages` and `.../embeddings` below any prefix with the
bytes that a provider once sent, in the pieces they arrived in where that was recorded and frame by frame where not.
The recordings, their true usage and where they come from stand in `recordings/index.json`; NOTICE has the licences.
"""

import argparse
import asyncio
import json
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import accumulate
from typing import Any

from headgate.testing.upstream import (
    LAST_CHUNK,
    Coding,
    Handler,
    Pause,
    Received,
    Script,
    ScriptedUpstream,
    Send,
    chunk,
    head,
    response,
)

_FRAME = re.compile(rb".*?(?:\r?\n\r?\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded answer of a provider, the request to ask for it with, and its true usage."""

    name: str
    """The file's name."""
    case: str
    """The id of the same recording in the corpus of the tests."""
    dialect: str
    provider: str
    path: str
    """Below the API's version root, e.g. "/chat/completions"."""
    model: str
    """As asked for; the answer may name a dated snapshot of it."""
    content_type: str
    chunk_lengths: list[int]
    """The pieces the body arrived in; empty where that was not recorded."""
    first_token_ms: int
    frames_per_second: int
    """The pace to play at, which was not recorded; 0 for an answer that is no stream."""
    request: Mapping[str, Any]
    usage: Mapping[str, Any]
    """What the provider reported, under the names of `headgate.usage.Usage`; a field it did not report is absent."""
    source: Mapping[str, str]
    """Where it was published: repo, path, commit, licence."""

    @property
    def stream(self) -> bool:
        """True for an event stream."""
        return self.content_type.startswith("text/event-stream")

    @property
    def body(self) -> bytes:
        """The body's bytes as the provider sent them."""
        return _packaged(self.name)

    def pieces(self) -> list[bytes]:
        """The body as it is to be sent."""
        if not self.chunk_lengths:
            return [frame for frame in _FRAME.findall(self.body) if frame] if self.stream else [self.body]
        ends = accumulate(self.chunk_lengths)
        return [self.body[end - length : end] for length, end in zip(self.chunk_lengths, ends, strict=True)]


@lru_cache
def _packaged(name: str) -> bytes:
    return resources.files("headgate.testing").joinpath("recordings", name).read_bytes()


@lru_cache
def recordings() -> tuple[Recording, ...]:
    """All packaged recordings."""
    return tuple(Recording(**entry) for entry in json.loads(_packaged("index.json")))


def choose(path: str, body: bytes) -> Recording | None:
    """The recording that answers a POST to this path, or None if nothing does.

    Of those for the path: one that streams if and only if the request asks for it, and of the model asked for, where
    there are such.
    """
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    found = [recording for recording in recordings() if path.endswith(recording.path)]
    if not isinstance(asked, dict) or not found:
        return None
    stream, model = asked.get("stream") is True, asked.get("model")
    return max(found, key=lambda recording: (recording.stream is stream, recording.model == model))


def play(recording: Recording, speed: float) -> Iterator[Send | Pause]:
    """The script of an answer: silence up to the first token, then piece by piece at the recording's pace."""
    yield Pause(recording.first_token_ms / 1000 / speed)
    if not recording.stream:
        yield head(content_type=recording.content_type, coding=Coding.LENGTH, length=len(recording.body))
        yield Send(recording.body)
        return
    yield head(content_type=recording.content_type, headers=[(b"cache-control", b"no-cache")])
    for piece in recording.pieces():
        yield chunk(piece)
        yield Pause(piece.count(b"\n\n") / recording.frames_per_second / speed)
    yield LAST_CHUNK


def replay(speed: float = 1.0) -> Handler:
    """A handler for ScriptedUpstream that plays the recordings, `speed` times as fast as a live model."""

    def handler(request: Received) -> Script:
        if request.method == "GET" and request.path.endswith("/models"):
            return _models()
        recording = choose(request.path, request.body) if request.method == "POST" else None
        return play(recording, speed) if recording is not None else _not_found(request)

    return handler


def _models() -> Script:
    names = sorted({(recording.model, recording.provider) for recording in recordings()})
    models = [{"id": model, "object": "model", "created": 0, "owned_by": owner} for model, owner in names]
    return response([json.dumps({"object": "list", "data": models}).encode()], coding=Coding.LENGTH)


def _not_found(request: Received) -> Script:
    """A 404 in the shape of the API that the request seems to speak."""
    message = f"No recording answers {request.method} {request.path}."
    if "/messages" in request.path:
        body: dict[str, Any] = {"type": "error", "error": {"type": "not_found_error", "message": message}}
    else:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": "not_found"}
        body = {"error": error}
    return response([json.dumps(body).encode()], 404, coding=Coding.LENGTH)


async def serve(port: int, speed: float, *, until_eof: bool) -> None:
    """Serve until SIGTERM or SIGINT.

    With `until_eof` also until standard input ends: who holds the other end of that pipe leaves no orphan behind.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with ScriptedUpstream(replay(speed), port=port) as upstream:
        print(upstream.url, flush=True)  # noqa: T201  (this is a program: its first line is its address)
        if until_eof:
            reader = asyncio.StreamReader()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            reading = loop.create_task(reader.read())
            reading.add_done_callback(lambda _: stop.set())
        await stop.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m headgate.testing.replay", description=replay.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--speed", type=float, default=1.0, help="times a live model's pace")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.speed, until_eof=options.until_eof))


if __name__ == "__main__":
    main()
