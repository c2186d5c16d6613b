"""Reaching a PostgreSQL server: connections, questions that cannot wait, and what a failure means.

The only home of asyncpg, which is the extra `postgres`. Nothing that is raised or logged here tells the DSN: it holds
a password.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from headgate.errors import Busy, ConfigError

try:
    import asyncpg
    from asyncpg.exceptions import (
        DataError,
        DeadlockDetectedError,
        IntegrityConstraintViolationError,
        InterfaceError,
        InternalClientError,
        LockNotAvailableError,
        PostgresError,
        SerializationError,
    )
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

Connection: TypeAlias = Any
"""asyncpg.Connection; asyncpg ships no types."""

T = TypeVar("T")
_log = logging.getLogger("headgate.stores")

_CONNECT_SECONDS = 10.0
_COMMIT_SECONDS = 60.0
"""After which a statement of the writer's counts as lost with its connection: longer than any lock is held."""
_ANSWER_SECONDS = 5.0
"""A request waits for its key's look-up no longer."""
_GOODBYE_SECONDS = 1.0
_READERS = 5

# synchronous_commit: what is committed survives a power cut, also where the server's default would not have it so.
# idle_in_transaction_session_timeout: a gateway whose host vanished lets go of the accounts that it had locked.
_SETTINGS = """
SELECT
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END,
    CASE current_setting('application_name') WHEN '' THEN set_config('application_name', 'headgate', false) END,
    set_config('idle_in_transaction_session_timeout', '30s', false)
"""
# All that the writer does is look-ups by key: one plan serves for good, as long as it was not made to scan the tables
# while they were small.
_LOOKUPS_ONLY = """
SELECT
    set_config('enable_seqscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('jit', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false)
"""
# What a table once held counts as its size until it is made anew: the few records that wait to be rolled up would be
# looked for in the room of the millions that waited when roll-ups were new.
_BY_INDEX = "SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"
_SCHEMES = {"postgresql", "postgres"}
_HOSTS = re.compile(r"(([\w.%-]*|\[[\w.:%]+\])(:\d+)?(,|$))*")


class Away(Exception):
    """The server cannot be reached, or cannot do it now. Whether a commit under way succeeded is not known."""


class Conflict(Exception):
    """Another transaction was in the way; this one has been undone, and may simply be tried again."""


class Unwritable(Exception):
    """The server, or its protocol, refuses these values; it will do so again."""


@contextmanager
def told_apart() -> Iterator[None]:
    """What asyncpg raises, as one of Away, Conflict and Unwritable."""
    try:
        yield
    except (SerializationError, DeadlockDetectedError, LockNotAvailableError) as error:
        raise Conflict(_said(error)) from error
    except (
        DataError,
        IntegrityConstraintViolationError,
        AttributeError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise Unwritable(_said(error)) from error
    except (PostgresError, InterfaceError, InternalClientError, OSError) as error:
        raise Away(_said(error)) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def name_of(dsn: str) -> str:
    """What messages call the database: its DSN without user, password and options.

    Raises ConfigError for what is no DSN, and for one whose password is not escaped: asyncpg would take parts of it for
    a host or a port, and tell them.
    """
    try:
        parts = urlsplit(dsn)
    except ValueError:  # a bracket in the password
        parts = urlsplit("")
    beyond = f"{parts.path}{parts.query}{parts.fragment}"
    user, _, hosts = parts.netloc.rpartition("@")
    if parts.scheme not in _SCHEMES or "@" in user + beyond or parts.fragment or not _HOSTS.fullmatch(hosts):
        raise ConfigError(
            "`database`: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for @, %2F for / and so on "
            "in the password."
        )
    return f"postgresql://{hosts}{parts.path}"


async def connect(dsn: str) -> Connection:
    """A connection for the writer, to a server that takes writes. Raises Away, whatever is the matter."""
    try:
        connection = await asyncpg.connect(
            dsn, timeout=_CONNECT_SECONDS, command_timeout=_COMMIT_SECONDS, target_session_attrs="read-write"
        )
        with ExitStack() as undo:
            undo.callback(connection.terminate)  # also where nobody waits for it any more
            await _prepare(connection)
            await connection.execute(_LOOKUPS_ONLY)
            undo.pop_all()
    except (PostgresError, InterfaceError, InternalClientError, OSError, ValueError) as error:
        raise Away(_said(error)) from error
    return connection


async def hang_up(connection: Connection) -> None:
    """Let go of a connection, politely if the server still listens."""
    try:
        await connection.close(timeout=_GOODBYE_SECONDS)
    except (PostgresError, InterfaceError, InternalClientError, OSError):
        connection.terminate()


async def _prepare(connection: Connection) -> None:
    await connection.execute(_SETTINGS)


async def _leave_as_it_is(connection: Connection) -> None:
    """Questions leave nothing behind that had to be reset: that would take as long as the question."""


class Questions:
    """Single statements, each by itself, on a small pool of connections.

    Every one raises Busy where the server does not answer within some seconds; who asks cannot wait as the writer can.
    """

    def __init__(self, dsn: str) -> None:
        self._failing = False
        # To the server that takes the writes: a copy may not have heard of a revoked key yet.
        self._pool = asyncpg.create_pool(
            dsn, min_size=0, max_size=_READERS, init=_prepare, reset=_leave_as_it_is, timeout=_CONNECT_SECONDS,
            command_timeout=_ANSWER_SECONDS, target_session_attrs="read-write",
        )  # fmt: skip

    async def open(self) -> None:
        """Make the first connection. Raises what `told_apart` tells apart."""
        await self._pool
        with told_apart():
            await self._pool.fetch("SELECT")

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        """The rows of one statement. Raises Unwritable if it is refused for its values."""
        (rows,) = await self.together((sql, values))
        return rows

    async def together(self, *statements: tuple[str, Sequence[Any]]) -> list[list[Any]]:
        """The rows of each statement; they all see the same moment."""

        async def ask(connection: Connection) -> list[list[Any]]:
            return [await connection.fetch(sql, *values) for sql, values in statements]

        return await self._tried(ask, as_one=len(statements) > 1)

    async def at_once(self, question: Callable[[Connection], Awaitable[T]], seconds: float = _ANSWER_SECONDS) -> T:
        """The answer to a question of several statements, which all see the same moment. It may be asked twice.

        Within `seconds`; a statement that takes longer than others may has to say so itself.
        """

        async def look_up(connection: Connection) -> T:
            await connection.execute(_BY_INDEX)
            return await question(connection)

        return await self._tried(look_up, as_one=True, seconds=seconds)

    async def _tried(
        self, question: Callable[[Connection], Awaitable[T]], *, as_one: bool, seconds: float = _ANSWER_SECONDS
    ) -> T:
        try:
            async with asyncio.timeout(seconds):
                try:
                    answer = await self._asked(question, as_one=as_one)
                except (Away, Conflict):  # the connection may have been dead for long, without anybody noticing
                    answer = await self._asked(question, as_one=as_one)
        except (Away, Conflict, TimeoutError) as error:
            if not self._failing:
                _log.error("the database does not answer: %s", error)
            self._failing = True
            raise Busy("The database does not answer.") from error
        self._failing = False
        return answer

    async def _asked(self, question: Callable[[Connection], Awaitable[T]], *, as_one: bool) -> T:
        with told_apart():
            async with self._pool.acquire() as connection:
                if not as_one:
                    return await question(connection)
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    return await question(connection)

    async def aclose(self) -> None:
        """Let go of the connections."""
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._pool.close()
        except (PostgresError, InterfaceError, OSError):
            self._pool.terminate()
