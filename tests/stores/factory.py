"""How the conformance suites come by a store: each store's test file has a fixture `store_factory`."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from headgate.access.directory import Directory
from headgate.audit.log import AuditLog
from headgate.ledger.commands import Resolution
from headgate.ledger.entries import Outcome
from headgate.ledger.store import Ledger
from headgate.records import Record, RecordLog, Wanted
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.summary import GroupBy, UsageRow


class Store(RecordLog, Ledger, Directory, AuditLog, Protocol):
    """What every store is, and the questions about records."""

    async def settle(self, resolution: Resolution, record: Record) -> Outcome: ...

    async def records(self, since_ns: int | None = None, limit: int = 100) -> list[Record]: ...

    async def search(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> list[Record]: ...

    async def page(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> Found: ...

    async def arrived(self, after: int, limit: int, missing: Sequence[int] = ()) -> list[tuple[int, Record]]: ...

    async def last_arrivals(self, limit: int) -> list[int]: ...

    async def older_than(self, before_ns: int) -> tuple[int, int | None]: ...

    async def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]: ...

    async def series(self, of: SeriesOf) -> Series: ...

    async def roll(self, now_ns: int, limit: int = ...) -> int: ...

    async def prune(self, before_ns: int, limit: int = ...) -> int: ...


class StoreFactory(Protocol):
    """A database to open stores on, empty at first. Bound to no event loop."""

    @property
    def reopens(self) -> bool:
        """Whether the database outlives its store."""

    @property
    def crashes(self) -> bool:
        """Whether `crash` may be called."""

    def open_store(self) -> AbstractAsyncContextManager[Store]:
        """A store on the database as it is, opened; closed at the end of the block."""

    async def start_anew(self) -> None:
        """Go on with another, empty database."""

    async def crash(self) -> None:
        """Make the next store find what is on disk at this moment, as if the process had been killed now."""
