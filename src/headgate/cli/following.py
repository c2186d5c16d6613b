"""Following: which records have arrived since it was last asked, each of them once.

A record is written when its exchange is over, so its start tells nothing about when it arrives. Stores number records
as they are written. In one file a higher number is always seen later. On a server with several writers it is not: a
transaction may take its numbers first and commit last. So a number that is missed below one that has been seen is asked
for again, until no transaction that could hold it can be alive (docs/decisions/0034). Nothing here touches a database.
"""

from collections.abc import Iterable, Sequence

from headgate.records import Record

PATIENCE_SECONDS = 300.0
"""How long a missed number is asked for. A writer's statements are each cut off after a minute, and a transaction that
inserts records has the insert and the commit before it."""
MOST_MISSED = 10_000
"""Numbers that are asked for again: several writers' batches. A gap that is wider was never filled by any of them."""
LOOKED_BACK_AT = 1_000
"""Numbers looked at in the beginning, for those that are missing among them: what is still being committed."""

Arrived = tuple[int, Record]
"""A record with its number."""


class Following:
    """Where one has come to in the order of arrival. Begin with the highest numbers that there are."""

    def __init__(self, known: Iterable[int], now: float) -> None:
        """`now`: seconds of a clock that only goes on."""
        seen = sorted(known)
        self.after = max(0, seen[-1] - LOOKED_BACK_AT) if seen else 0
        """All up to here have been seen, but for those that are missing."""
        self._missed: dict[int, float] = {}
        for number in seen:
            if number > self.after:
                self._go_on_to(number, now)

    @property
    def missing(self) -> Sequence[int]:
        """The numbers below that were missed."""
        return list(self._missed)

    def take(self, found: Iterable[Arrived], now: float) -> list[Record]:
        """Those of the records found above `after` or among the missing that are new."""
        new = []
        for number, record in found:
            if number > self.after:
                self._go_on_to(number, now)
                new.append(record)
            elif self._missed.pop(number, None) is not None:
                new.append(record)
        self._missed = {number: since for number, since in self._missed.items() if now - since < PATIENCE_SECONDS}
        return new

    def _go_on_to(self, number: int, now: float) -> None:
        first = max(self.after + 1, number - MOST_MISSED)
        self._missed |= dict.fromkeys(range(first, number), now)
        for oldest in list(self._missed)[: max(0, len(self._missed) - MOST_MISSED)]:
            del self._missed[oldest]
        self.after = number
