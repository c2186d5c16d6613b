"""What was read in a turn of the event loop, for all that is served in the same turn.

Requests that come together are served together, and many of them bring the same key: one look into the database tells
what stood there when they came. It is forgotten before anything is served that came later.
"""

import asyncio
from typing import Generic, TypeVar

A = TypeVar("A")
Q = TypeVar("Q")


class OneTurn(Generic[Q, A]):
    """Answers by question. It may be asked in several event loops, whose turns are their own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: dict[Q, A] = {}

    @property
    def answers(self) -> dict[Q, A]:
        """What is known in this turn, to be read and added to at once; needs a running loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._answers = loop, {}
            loop.call_soon(self._forget, self._answers)
        return self._answers

    def _forget(self, answers: dict[Q, A]) -> None:
        if self._answers is answers:
            self._loop = None
