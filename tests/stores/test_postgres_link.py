import asyncio
import traceback
from collections.abc import AsyncIterator

import asyncpg
import pytest

from headgate.errors import Busy, ConfigError
from headgate.stores import postgres_link
from headgate.stores.postgres_link import Away, Conflict, Questions, Unwritable, connect, hang_up, name_of, told_apart
from tests.postgres_server import PostgresDatabase


@pytest.mark.parametrize(
    ("dsn", "name"),
    [
        ("postgresql://u:pa%2Fss@db.example.com:5433/headgate", "postgresql://db.example.com:5433/headgate"),
        ("postgres://db/headgate?sslmode=require&password=hidden", "postgresql://db/headgate"),
        ("postgresql://u:hidden@one:5432,two:5433/headgate", "postgresql://one:5432,two:5433/headgate"),
        ("postgresql://u:hidden@[::1]:5432/headgate", "postgresql://[::1]:5432/headgate"),
        ("postgresql:///headgate?host=/run/postgresql", "postgresql:///headgate"),
    ],
)
def test_a_database_is_named_without_what_opens_it(dsn: str, name: str) -> None:
    assert name_of(dsn) == name


@pytest.mark.parametrize(
    "dsn",
    [
        "", "headgate.db", "mysql://u:hidden@h/d", "host=h password=hidden", "postgresql://u:hid/den@h/d",
        "postgresql://u:hid@den@h/d", "postgresql://u:hid?den@h/d", "postgresql://u:hid#den@h/d",
        "postgresql://u:hid[den@h/d", "postgresql://u:hidden#@h/d", "postgresql://h:hidden/d",
    ],
)  # fmt: skip
def test_what_is_no_dsn_is_told_without_its_password(dsn: str) -> None:
    with pytest.raises(ConfigError, match="expected postgresql://") as told:
        name_of(dsn)
    everything = "".join(traceback.format_exception(told.value)).replace("USER:PASSWORD", "")
    assert not any(part in everything for part in ("hid/", "hidden", "den@", "hid["))


@pytest.mark.parametrize(
    ("raised", "meaning"),
    [
        (asyncpg.DeadlockDetectedError("x"), Conflict),
        (asyncpg.SerializationError("x"), Conflict),
        (asyncpg.UniqueViolationError("x"), Unwritable),
        (asyncpg.CheckViolationError("x"), Unwritable),
        (asyncpg.NumericValueOutOfRangeError("x"), Unwritable),
        (OverflowError("x"), Unwritable),
        (AttributeError("x"), Unwritable),
        (asyncpg.AdminShutdownError("x"), Away),
        (asyncpg.CannotConnectNowError("x"), Away),
        (asyncpg.DiskFullError("x"), Away),
        (asyncpg.TooManyConnectionsError("x"), Away),
        (asyncpg.ReadOnlySQLTransactionError("x"), Away),
        (asyncpg.ConnectionDoesNotExistError("x"), Away),
        (asyncpg.InterfaceError("x"), Away),
        (asyncpg.InternalClientError("x"), Away),
        (ConnectionResetError("x"), Away),
        (TimeoutError(), Away),
    ],
)  # fmt: skip
def test_failures_are_told_apart(raised: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(meaning) as told, told_apart():
        raise raised
    assert type(raised).__name__ in str(told.value)


async def setting(connection: asyncpg.Connection, name: str) -> str:
    return str(await connection.fetchval("SELECT current_setting($1)", name))


async def test_what_is_committed_is_on_disk_whatever_the_servers_default(postgres: PostgresDatabase) -> None:
    await postgres.query(f"ALTER DATABASE {postgres.name} SET synchronous_commit = off")
    connection = await connect(postgres.dsn())
    assert await setting(connection, "synchronous_commit") == "on"
    await hang_up(connection)
    await postgres.query(f"ALTER DATABASE {postgres.name} SET synchronous_commit = remote_apply")
    connection = await connect(postgres.dsn() + "?application_name=own")
    assert await setting(connection, "synchronous_commit") == "remote_apply", "stronger than ours is left"
    assert await setting(connection, "application_name") == "own"
    assert await setting(connection, "idle_in_transaction_session_timeout") == "30s"
    await hang_up(connection)


async def test_a_server_that_takes_no_writes_is_none(postgres: PostgresDatabase) -> None:
    await postgres.query(f"ALTER DATABASE {postgres.name} SET default_transaction_read_only = on")
    with pytest.raises(Away, match="TargetServerAttributeNotMatched"):
        await connect(postgres.dsn())


@pytest.fixture
async def questions(postgres: PostgresDatabase) -> AsyncIterator[Questions]:
    asking = Questions(postgres.dsn())
    await asking.open()
    yield asking
    await asking.aclose()


async def test_questions_are_answered_again_after_a_restart(
    postgres: PostgresDatabase, questions: Questions, caplog: pytest.LogCaptureFixture
) -> None:
    assert [tuple(row) for row in await questions.rows("SELECT $1::int", 1)] == [(1,)]
    postgres.stop()
    for _ in range(2):
        with pytest.raises(Busy, match="does not answer"):
            await questions.rows("SELECT 1")
    assert caplog.text.count("does not answer") == 1, "told once"
    postgres.start()
    await asyncio.gather(*(questions.rows("SELECT 1") for _ in range(20)))
    postgres.kill()
    postgres.start()
    await asyncio.gather(*(questions.rows("SELECT 1") for _ in range(20)))


async def test_a_question_that_takes_too_long_is_given_up(
    questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "_ANSWER_SECONDS", 0.05)
    with pytest.raises(Busy):
        await questions.rows("SELECT pg_sleep(60)")
    monkeypatch.undo()
    assert await questions.rows("SELECT 1")


async def test_several_questions_see_one_moment(postgres: PostgresDatabase, questions: Questions) -> None:
    await postgres.query("CREATE TABLE t (n INT)")
    waiting = asyncio.create_task(
        questions.together(("SELECT n FROM t", ()), ("SELECT pg_sleep(0.3)", ()), ("SELECT n FROM t", ()))
    )
    async with asyncio.timeout(30):
        while not await postgres.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            await asyncio.sleep(0.002)
    await postgres.query("INSERT INTO t VALUES (1)")
    assert (await waiting)[2] == []
    assert [tuple(row) for row in await questions.rows("SELECT n FROM t")] == [(1,)]


async def test_a_refused_value_is_no_outage(questions: Questions) -> None:
    with pytest.raises(Unwritable):
        await questions.rows("SELECT $1::bigint", 2**70)
    assert await questions.rows("SELECT 1")
