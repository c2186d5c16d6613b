"""A client of bare sockets: it sees each byte, and can leave at any byte, by a RST."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, Self

import httptools

Headers = Sequence[tuple[str, str]]


class RawClient:
    """One connection, one request, one answer."""

    def __init__(self, port: int) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.head_came = False
        self.complete = False
        """True once the answer ended as HTTP says that a whole one ends."""
        self._port = port
        self._parser = httptools.HttpResponseParser(self)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def send(self, path: str, body: bytes, *, method: str = "POST", headers: Headers = ()) -> None:
        own = [("host", "gateway"), ("content-type", "application/json"), ("content-length", str(len(body)))]
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (*own, *headers)), "\r\n"]
        self._writer.write("\r\n".join(lines).encode() + body)

    async def read_until(self, condition: Callable[[], bool]) -> bool:
        """Read until the condition holds; False if the connection ended, or broke, before."""
        while not condition():
            try:
                data = await self._reader.read(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return False
            self._parser.feed_data(data)
        return True

    async def read_all(self) -> bytes:
        """The whole answer's body, or what there is of it when the connection ends; `complete` tells which."""
        await self.read_until(lambda: self.complete)
        return self.body

    def reset(self) -> None:
        """Leave by a RST."""
        with socket.socket(fileno=os.dup(self._writer.get_extra_info("socket").fileno())) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.head_came = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def post(port: int, path: str, body: bytes | dict[str, Any], headers: Headers = ()) -> RawClient:
    """Send one request and read its whole answer."""
    async with RawClient(port) as client:
        client.send(path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers=headers)
        await client.read_all()
        return client
