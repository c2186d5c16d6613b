"""How the gateway is, for an operator who wants to know whether its numbers can be trusted."""

import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from headgate import __version__
from headgate.admin.bookkeeping import Bookkeeping, Checked, Since
from headgate.admin.views import moment
from headgate.errors import HeadgateError
from headgate.pricing.book import PriceBook

_NS = 1_000_000_000


class DatabaseKind(StrEnum):
    """Where records and ledger are kept."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"
    MEMORY = "memory"


class DatabaseView(Struct, frozen=True, kw_only=True):
    """The database: whether it takes what is to be written, and how much waits for it."""

    kind: DatabaseKind
    accepting: bool
    backlog: int


class PriceBookView(Struct, frozen=True, kw_only=True):
    """The price book: `version` is the hash that bills have; the source is where it was made from."""

    version: str
    source: str | None
    source_version: str | None
    overrides: int


class BooksView(Struct, frozen=True, kw_only=True):
    """The last check of the books, as they stood at one moment; all null before the first."""

    checked_at: datetime | None
    took_ms: int | None
    balanced: bool | None
    accounts: int | None
    wrong: list[str]


class SinceView(Struct, frozen=True, kw_only=True):
    """What this process has seen since its start: of ended exchanges, how many were odd, and how."""

    exchanges: int
    disputed: int
    orphans: int
    faults: int
    flags: dict[str, int]


class HealthView(Struct, frozen=True, kw_only=True):
    """This gateway process and its database. `open_holds` is null while the database cannot be asked."""

    version: str
    python: str
    node: str
    started_at: datetime
    uptime_seconds: int
    running: int
    onlookers: int
    database: DatabaseView
    open_holds: int | None
    price_book: PriceBookView
    books: BooksView
    since_start: SinceView


class Database(Protocol):
    """What is asked of the database."""

    @property
    def accepting(self) -> bool:
        """False while what is to be written piles up at its bound."""

    @property
    def backlog(self) -> int:
        """How many items wait to be written."""


@dataclass(frozen=True, slots=True)
class Process:
    """This process, as it began."""

    node: str
    started_at_ns: int
    kind: DatabaseKind
    price_book: PriceBookView


@dataclass(frozen=True, slots=True)
class Health:
    """Looks at the parts of a gateway."""

    process: Process
    database: Database
    books: Bookkeeping
    since: Since
    running: Callable[[], int]
    onlookers: Callable[[], int]
    count_open_holds: Callable[[], Awaitable[int]]
    clock_ns: Callable[[], int]

    async def view(self) -> HealthView:
        """How it is now. Never raises: one who asks this has trouble already."""
        try:
            holds: int | None = await self.count_open_holds()
        except HeadgateError:
            holds = None
        process, since = self.process, self.since
        return HealthView(
            version=__version__,
            python=platform.python_version(),
            node=process.node,
            started_at=moment(process.started_at_ns),
            uptime_seconds=max(0, self.clock_ns() - process.started_at_ns) // _NS,
            running=self.running(),
            onlookers=self.onlookers(),
            database=DatabaseView(kind=process.kind, accepting=self.database.accepting, backlog=self.database.backlog),
            open_holds=holds,
            price_book=process.price_book,
            books=books_view(self.books.last),
            since_start=SinceView(
                exchanges=since.exchanges,
                disputed=since.disputed,
                orphans=since.orphans,
                faults=since.faults,
                flags=dict(since.flags),
            ),
        )


def books_view(last: Checked | None) -> BooksView:
    """A check for the wire."""
    if last is None:
        return BooksView(checked_at=None, took_ms=None, balanced=None, accounts=None, wrong=[])
    return BooksView(
        checked_at=moment(last.at_ns),
        took_ms=last.took_ns // 1_000_000,
        balanced=last.balanced,
        accounts=last.accounts,
        wrong=list(last.wrong),
    )


def price_book_view(book: PriceBook) -> PriceBookView:
    """A price book for the wire."""
    source = book.content.get("source") or {}
    return PriceBookView(
        version=book.version,
        source=source.get("name"),
        source_version=source.get("version"),
        overrides=len(book.overrides),
    )
