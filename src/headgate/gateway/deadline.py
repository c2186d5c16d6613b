"""Waits that may all last equally long, with one timer for all of them.

`asyncio.timeout` makes a timer for each wait, and nearly every hold is on disk within a millisecond.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadline:
    """Bounds waits. It may be used in several event loops, one after the other."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._until: dict[asyncio.Task[Any], float] = {}
        """Who waits, and until when by the loop's clock: the first is the first to have waited long enough."""
        self._late: set[asyncio.Task[Any]] = set()

    async def wait(self, waiting: Coroutine[Any, Any, T]) -> T:
        """What comes of it. Raises TimeoutError if that takes too long; then it is cancelled."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        cancelled_before = task.cancelling()
        self._until[task] = loop.time() + self.seconds
        if self._loop is not loop:
            self._loop = loop
            self._until = {task: self._until[task]}
            loop.call_later(self.seconds, self._look)
        try:
            return await waiting
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() <= cancelled_before:
                raise TimeoutError from None
            raise
        finally:
            self._late.discard(task)
            self._until.pop(task, None)

    def _look(self) -> None:
        """Wake those who have waited long enough, and look again when the next one will have."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._until:
            task, until = next(iter(self._until.items()))
            if until > now:
                loop.call_at(until, self._look)
                return
            del self._until[task]
            self._late.add(task)
            task.cancel()
        self._loop = None
