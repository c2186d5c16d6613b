"""A worker's line to its supervisor: it tells when it serves; it is told to leave; and it hears when that is gone."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

READY = b"r"
"""The worker serves."""
LEAVE = b"l"
"""Another has its place: it listens no more, and ends when what runs is over."""


class Lifeline:
    """The worker's end."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self._end = end

    def ready(self) -> None:
        """Tell that it serves."""
        with suppress(OSError):  # nobody is there: `attach` hears so
            self._end.send(READY)

    def attach(self, leave: Callable[[], object], stop: Callable[[], object]) -> None:
        """From now on, call back: `leave` when it is asked to, `stop` when the supervisor is gone."""
        loop = asyncio.get_running_loop()

        def hear() -> None:
            try:
                told = self._end.recv(64)
            except BlockingIOError:
                return
            except OSError:
                told = b""
            if told:
                leave()
            else:
                loop.remove_reader(self._end)
                stop()

        loop.add_reader(self._end, hear)
