"""What wakes the writer's thread, once for all that is brought at the same time.

To wake a thread takes the processor and the interpreter's lock from the event loop. So a command that a client waits
for rings when everyone has spoken whose turn it is in its loop: what a hundred requests bring that came together is
one transaction, and a lone one waits for microseconds.
"""

import asyncio
import time
from enum import IntEnum
from queue import Empty, SimpleQueue


class Ring(IntEnum):
    """How urgent it is."""

    GATHER = 1
    """What is there may wait a moment for company."""
    AT_ONCE = 2
    """Somebody waits."""


class Bell:
    """Rung from any thread, heard by one."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[Ring] = SimpleQueue()
        self._rung = 0
        self._awake = False
        self._ringing: asyncio.AbstractEventLoop | None = None

    def ring(self, how: Ring) -> None:
        """Have whoever listens look: wake him, unless he has been woken so already or will look by himself."""
        if self._rung < how:
            self._rung = how
            if how is Ring.AT_ONCE or not self._awake:
                self._rings.put(how)

    def ring_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ring at once, but after all that are to run now in this loop, which is the running one."""
        if self._ringing is not loop:
            self._ringing = loop
            loop.call_soon(self._ring_now)

    def _ring_now(self) -> None:
        self._ringing = None
        self.ring(Ring.AT_ONCE)

    def heard(self, within: float | None, gathering: float) -> bool:
        """Wait for a ring; False if there is none within some seconds. What may wait gathers for so many seconds.

        At first nobody who lets gather has to ring: as long as more keeps coming, none of it wakes the thread.
        """
        until = time.monotonic() + gathering
        self._awake = True
        how = self._next(gathering)
        self._awake = False
        if how is None and self._rung:
            return True
        if how is None:
            how = self._next(None if within is None else max(0.0, within - gathering))
            until = time.monotonic() + gathering
        while how is Ring.GATHER and (left := until - time.monotonic()) > 0:
            how = self._next(left) or how
        return how is not None

    def looks(self) -> None:
        """Who listens is about to look: whoever brings something from now on rings again."""
        self._rung = 0

    def _next(self, within: float | None) -> Ring | None:
        try:
            return self._rings.get(timeout=within)
        except Empty:
            return None
