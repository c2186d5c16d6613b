"""A client that takes nothing of what it is sent is left after a time: it would hold up its provider for ever."""

import asyncio


class Stall:
    """Watches one connection's unsent bytes, from when there are too many of them until they have gone."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long a client may take nothing."""
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._untaken = 0

    def begin(self, transport: asyncio.Transport) -> None:
        """The transport holds more than it should; who takes not one byte of it from now on is cut off."""
        self.end()
        self._untaken = transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look, transport)

    def end(self) -> None:
        """The client has caught up, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, transport: asyncio.Transport) -> None:
        self._timer = None
        if transport.get_write_buffer_size() < self._untaken:
            self.begin(transport)
        else:
            transport.abort()
