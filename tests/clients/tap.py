"""A wire between an agent and the gateway that keeps what passes, and a proxy for other addresses that reaches none."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_ASK = re.compile(rb"((?:GET|HEAD|POST|PUT|DELETE|OPTIONS) \S+) HTTP/1\.1\r\n")
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [ A-Za-z]+\r\n")


@dataclass
class Tap:
    """What passed."""

    port: int = 0
    proxy: str = ""
    forth: bytes = b""
    back: bytes = b""
    elsewhere: list[str] = field(default_factory=list)
    """Request lines that were meant for other hosts."""

    @property
    def url(self) -> str:
        """The gateway's, by way of the tap."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """What has an agent go to the proxy for all but the gateway."""
        return {"HTTPS_PROXY": self.proxy, "HTTP_PROXY": self.proxy, "NO_PROXY": "127.0.0.1"}

    @property
    def asks(self) -> list[str]:
        return [found.decode() for found in _ASK.findall(self.forth)]

    @property
    def statuses(self) -> list[int]:
        return [int(found) for found in _STATUS.findall(self.back)]


@asynccontextmanager
async def tapped(gateway_port: int) -> AsyncIterator[Tap]:
    """A tap on a gateway."""
    tap = Tap()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**16):
                setattr(tap, way, getattr(tap, way) + data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", gateway_port)
        await asyncio.gather(copy(reader, inner_writer, "forth"), copy(inner_reader, writer, "back"))

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tap.elsewhere.append((await reader.readline()).decode("latin-1").strip())
        writer.close()

    async with (
        await asyncio.start_server(relay, "127.0.0.1", 0) as front,
        await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy,
    ):
        tap.port = front.sockets[0].getsockname()[1]
        tap.proxy = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        yield tap
