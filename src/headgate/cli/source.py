"""What the commands that only read share: the records of the database that the settings name, and the filters.

A file is opened read only, each time it is asked. Neither a file nor a server's database is made or migrated, and
gateways may be writing to it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import typer

from headgate.records import Record, Wanted
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.summary import GroupBy, UsageRow

Config = Annotated[Path | None, typer.Option(help="The headgate.toml that names the database.")]
Database = Annotated[
    Path | None, typer.Option("--db", "--database", help="The SQLite file, if not in the default place.")
]
Key = Annotated[str | None, typer.Option(help="Only those of a key, by its name or id.")]
Account = Annotated[str | None, typer.Option(help="Only those of an account.")]
Model = Annotated[str | None, typer.Option(help="Only those of a model: the one that served, or else was asked for.")]
Provider = Annotated[str | None, typer.Option(help="Only those of a provider, by the deployment's name.")]
Failed = Annotated[bool, typer.Option("--failed", help="Only those that failed, on either side.")]

NEXT_STEP = (
    "Start `headgate serve` and send a request through it, or run `headgate demo` to see it work without a key. "
    "`--db` names another file, `--since` another time."
)


class Records(Protocol):
    """The questions about records."""

    async def search(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> list[Record]:
        """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`."""

    async def page(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> Found:
        """The same; fewer where they are hard to find, and where to go on."""

    async def arrived(self, after: int, limit: int, missing: Sequence[int] = ()) -> list[tuple[int, Record]]:
        """At most `limit` records written after a number, each with its number, and those of missed numbers."""

    async def last_arrivals(self, limit: int) -> list[int]:
        """The numbers of the records that were written last."""

    async def older_than(self, before_ns: int) -> tuple[int, int | None]:
        """How many records began before then, and when the first of them did; nanoseconds since the epoch."""

    async def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""

    async def series(self, of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""


class FileRecords:
    """The records of an SQLite file, read only. Every method raises ConfigError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        from headgate.stores.queries import SqliteRecords

        self._file = SqliteRecords(path)

    async def search(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> list[Record]:
        """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`."""
        from headgate.stores import queries

        return self._file.ask(lambda db: queries.search(db, wanted, limit, before))

    async def page(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> Found:
        """The same; fewer where they are hard to find, and where to go on."""
        from headgate.stores import queries

        return self._file.ask(lambda db: queries.page(db, wanted, limit, before))

    async def arrived(self, after: int, limit: int, missing: Sequence[int] = ()) -> list[tuple[int, Record]]:
        """At most `limit` records written after a number, each with its number, and those of missed numbers."""
        from headgate.stores import queries

        return self._file.ask(lambda db: queries.arrived(db, after, limit, missing))

    async def last_arrivals(self, limit: int) -> list[int]:
        """The numbers of the records that were written last."""
        from headgate.stores import queries

        return self._file.ask(lambda db: queries.last_arrivals(db, limit))

    async def older_than(self, before_ns: int) -> tuple[int, int | None]:
        """How many records began before then, and when the first of them did; nanoseconds since the epoch."""
        from headgate.stores import queries

        return self._file.ask(lambda db: queries.older_than(db, before_ns))

    async def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""
        return self._file.usage(since_ns, by, until_ns)

    async def series(self, of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""
        return self._file.series(of)


class Source(NamedTuple):
    """Where records are read from, and what to call it."""

    records: Records
    name: str


@asynccontextmanager
async def opened(config: Path | None, database: Path | None) -> AsyncIterator[Source]:
    """The records of the database that the options name.

    Raises ConfigError, and Exit, with the next step told, if there is no file yet.
    """
    from headgate.config import default_database, load

    settings = load(config) if config is not None and database is None else None
    if settings is not None and settings.postgres is not None:
        from headgate.stores.postgres_reading import reading

        async with reading(settings.postgres) as records:
            yield Source(records, "the PostgreSQL database")
        return
    path = database or (default_database() if settings is None else settings.database)
    if not path.is_file():
        typer.echo(f"There are no records yet: {path} does not exist.\n{NEXT_STEP}", err=True)
        raise typer.Exit(1)
    yield Source(FileRecords(path), str(path))
