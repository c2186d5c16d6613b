"""The scripted upstream: answers as script.py has them, at a given pace. `python -m bench.upstream PORT HOST`.

It lives until it is terminated. Raw asyncio protocols on uvloop, so that it takes
as little as possible of the core it shares with the load generator.
"""

import asyncio
import gc
import sys
from functools import lru_cache
from typing import cast

import httptools
import uvloop

from bench import script
from bench.script import Script

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"server: bench\r\n"
    b"x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
    b"openai-processing-ms: 12\r\n"
    b"openai-version: 2020-10-01\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\n"
    b"x-ratelimit-remaining-tokens: 149999\r\n"
)
REFUSAL = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\nno script\n"
"""To whatever is not asked as the script has it: another API's path, a model that names no script."""


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def document_write(asked: Script) -> bytes:
    """The document, with its head."""
    body = asked.wire.document()
    return _HEAD + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def stream_writes(asked: Script, *, usage: bool) -> tuple[bytes, ...]:
    """What is written at each tick of a stream; the head goes with the first, the end is the last."""
    head = _HEAD + b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    first, *rest = script.frames(asked.api, asked.chunks)
    closing = asked.wire.closing_asked if usage else asked.wire.closing
    end = b"".join(map(_chunked, (closing(asked.chunks), b"")))
    return (head + _chunked(asked.wire.opening() + first), *map(_chunked, rest), end)


@lru_cache(maxsize=256)
def answer(path: bytes, body: bytes) -> tuple[Script, tuple[bytes, ...]]:
    """What is written for a request, worked out once: the answer must cost the shared core as little as it can."""
    try:
        asked, usage = script.script_of(body)
    except (ValueError, KeyError, TypeError):
        return Script(), (REFUSAL,)
    if path != asked.wire.path.encode():
        return Script(), (REFUSAL,)
    return asked, stream_writes(asked, usage=usage) if asked.chunks else (document_write(asked),)


class Answering(asyncio.Protocol):
    """One connection: one answer after another."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop writing."""
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """A new request."""
        self._path, self._body = b"", b""

    def on_url(self, piece: bytes) -> None:
        """Collect the path, which may have a query."""
        self._path += piece

    def on_body(self, piece: bytes) -> None:
        """Collect the request."""
        self._body += piece

    def on_message_complete(self) -> None:
        """Answer."""
        asked, writes = answer(self._path.partition(b"?")[0], self._body)
        step = 1 / asked.rate if asked.rate else 0.0
        if asked.first_ms:
            wait = asked.first_ms / 1000
            self._timer = self._loop.call_later(wait, self._tick, writes, 0, self._loop.time() + wait, step)
        else:
            self._tick(writes, 0, self._loop.time(), step)

    def _tick(self, writes: tuple[bytes, ...], index: int, due: float, step: float) -> None:
        """Write, and come back `step` seconds after this tick was due, so that a late tick does not slow the pace."""
        self._transport.write(writes[index])
        if index + 1 < len(writes):
            self._timer = self._loop.call_at(due + step, self._tick, writes, index + 1, due + step, step)


async def serve(port: int, host: str) -> None:
    """Serve until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, host, port, backlog=2048)
    gc.freeze()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
