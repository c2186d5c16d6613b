"""The provider's end of a line that leads nowhere yet: to whom it will is chosen with the client's first frame.

Over a Responses socket a model is named by the frames that ask, so an alias is not known before.
"""

import asyncio
from collections.abc import Awaitable, Callable

from headgate.gateway.admit import Admission
from headgate.gateway.dialling import End
from headgate.gateway.request import Opening
from headgate.gateway.socket import SocketClosed, UpstreamSocket
from headgate.gateway.upstream import Headers
from headgate.records import Attempt

Dial = Callable[[Admission, Opening, list[Attempt]], Awaitable[End]]
"""Connects to who is to serve what was asked; attempts that failed are added to the list. Raises a HeadgateError."""


class Standby:
    """An UpstreamSocket. Who receives waits until the line stands."""

    headers: Headers = ()

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._socket: UpstreamSocket | None = None
        self._stands = asyncio.Event()

    async def stand(self, admission: Admission, opening: Opening, tried: list[Attempt]) -> End:
        """Have the line lead to a provider. Raises what dialling does; then the next frame tries anew."""
        end = await self._dial(admission, opening, tried)
        self._socket = end.socket
        self._stands.set()
        return end

    async def receive(self) -> bytes:
        """The provider's next frame."""
        await self._stands.wait()
        return await self._there().receive()

    async def send(self, frame: bytes) -> None:
        """Send a frame, once the line stands."""
        await self._there().send(frame)

    def holds_back(self, frame: bytes) -> bool:
        """As the provider's socket has it."""
        return self._socket is not None and self._socket.holds_back(frame)

    async def close(self, code: int, reason: str = "") -> None:
        """Close, if there is anything to close."""
        if self._socket is not None:
            await self._socket.close(code, reason)

    def _there(self) -> UpstreamSocket:
        if self._socket is None:
            raise SocketClosed(1006)
        return self._socket
