"""A second listener in the gateway's process and event loop, for what is not for the gateway's clients.

It is uvicorn's protocol on a socket of its own. A uvicorn server beside the first would bring signal handlers, a
lifespan and a stop of its own.
"""

import asyncio

import uvicorn
from uvicorn.server import ServerState

from headgate.net.editions import Asgi
from headgate.net.http_protocol import GuardedProtocol
from headgate.net.server import bind


class Listener:
    """Serves an ASGI application over HTTP at an address."""

    def __init__(
        self, application: Asgi, host: str, port: int, *, last_seconds: float = 1.0, shared: bool = False
    ) -> None:
        """`last_seconds`: how long a stop waits for answers that are being given. Other processes may share a port."""
        self._config = uvicorn.Config(
            application, lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False
        )
        self._address = (host, port)
        self._last_seconds = last_seconds
        self._shared = shared
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        if self._server is None:
            return self._address[1]
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def open(self) -> None:
        """Listen. Raises ConfigError if the address cannot be had."""
        taken = bind(*self._address, shared=self._shared)
        self._config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: GuardedProtocol(self._config, self._state, {}), sock=taken, backlog=64
        )

    async def aclose(self) -> None:
        """Stop listening; answers that are being given have a moment to end."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=self._last_seconds)
        for connection in list(self._state.connections):
            connection.transport.abort()
