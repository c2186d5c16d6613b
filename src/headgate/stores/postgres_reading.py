"""Reading the records of a PostgreSQL database while gateways write to it: nothing is made, migrated or rolled up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headgate.errors import ConfigError
from headgate.stores.postgres_link import (
    INSTALLED,
    Away,
    Conflict,
    Questions,
    Unwritable,
    connect,
    hang_up,
    name_of,
    told_apart,
)
from headgate.stores.postgres_records import PostgresRecords
from headgate.stores.postgres_schema import require_current


class PostgresReader(PostgresRecords):
    """The questions about records, once it is open."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions


@asynccontextmanager
async def reading(dsn: str) -> AsyncIterator[PostgresReader]:
    """The records of a database.

    Raises ConfigError for what is no DSN, without the extra `postgres`, and if the database cannot be reached or has
    not exactly this headgate's tables.
    """
    if not INSTALLED:
        raise ConfigError("`database`: PostgreSQL needs asyncpg: install headgate[postgres].")
    name = name_of(dsn)
    try:
        connection = await connect(dsn)
        try:
            with told_apart():
                await require_current(connection, name)
        finally:
            await hang_up(connection)
        questions = Questions(dsn)
        await questions.open()
    except (Away, Conflict, Unwritable, OSError) as error:
        raise ConfigError(f"{name}: cannot be opened as the database: {error}.") from error
    try:
        yield PostgresReader(questions)
    finally:
        await questions.aclose()
