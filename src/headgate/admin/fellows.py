"""Fellows: the other processes on this port, and what is under way in them, for whoever looks on at this one.

Once a second, while someone looks on here, they are asked for their snapshots and for what has ended since; asked so,
they gather what ends for a few seconds more, for this process only. While nobody looks on nobody is asked.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from headgate.admin.onlookers import Onlookers
from headgate.admin.snapshot import SHOWN, LiveView, Snapshots

_QUESTION = "live"


class Company(Protocol):
    """Other processes, of which each answers the others' questions."""

    @property
    def number(self) -> int:
        """This process's own."""

    def answer(self, question: str, answer: Callable[[str], Awaitable[bytes]]) -> None:
        """How this process answers a question of theirs, given its detail."""

    async def ask(self, question: str, detail: str = "") -> list[bytes]:
        """What they answer."""


class Told(msgspec.Struct, frozen=True):
    """What one of them tells."""

    view: LiveView
    ended: list[msgspec.Raw]
    skipped: int


class Fellows:
    """Snapshots of all of them as one."""

    def __init__(self, company: Company, snapshots: Snapshots) -> None:
        self._company = company
        self._snapshots = snapshots
        self._onlookers: Onlookers | None = None
        company.answer(_QUESTION, self._answer)

    def show(self, onlookers: Onlookers) -> None:
        """Tell these, too, of what ends elsewhere; and tell the others of what ends here."""
        self._onlookers = onlookers

    async def take(self) -> LiveView:
        """A snapshot of all, for one who asks once."""
        return await self._together("")

    async def watch(self) -> LiveView:
        """A snapshot of all for the onlookers here, who are also told of what has ended since the last one."""
        return await self._together(str(self._company.number))

    async def _together(self, asker: str) -> LiveView:
        views = [await self._snapshots.take()]
        for answer in await self._company.ask(_QUESTION, asker):
            with suppress(msgspec.MsgspecError):  # of another version, which is about to leave
                told = msgspec.json.decode(answer, type=Told)
                views.append(told.view)
                if self._onlookers is not None:
                    self._onlookers.pass_on([bytes(ended) for ended in told.ended], told.skipped)
        exchanges = sorted((e for view in views for e in view.exchanges), key=lambda e: e.started_at, reverse=True)
        running = sum(view.running for view in views)
        return msgspec.structs.replace(views[0], running=running, exchanges=exchanges[:SHOWN])

    async def _answer(self, asker: str) -> bytes:
        ended, skipped = ([], 0) if self._onlookers is None or not asker else self._onlookers.gathered(asker)
        view = await self._snapshots.take()
        return msgspec.json.encode(Told(view, [msgspec.Raw(each) for each in ended], skipped))
