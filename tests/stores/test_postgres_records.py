"""What the questions answer is in the conformance suite; here are texts that PostgreSQL cannot hold, and plans."""

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.records import Bill, Ending, Mark, Wanted
from headgate.stores import records_sql, searching
from headgate.stores.postgres_link import connect
from headgate.stores.postgres_records import _read, insert_records, written
from headgate.stores.postgres_schema import migrate
from tests.postgres_server import PostgresDatabase
from tests.stores.examples import a_record
from tests.stores.test_searching import asked


@given(st.text(st.sampled_from("\0\x1a01a")) | st.text())
def test_any_text_can_be_written_and_comes_back(text: str) -> None:
    (as_written,) = written((text,))
    assert isinstance(as_written, str)
    assert "\0" not in as_written
    assert _read(as_written) == text


@given(st.text(st.sampled_from("\0\x1a01")), st.text(st.sampled_from("\0\x1a01")))
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert (written((one,)) == written((other,))) == (one == other)


def test_what_utf8_cannot_spell_is_replaced() -> None:
    assert written(("\ud800\0", None, 7)) == ("\ufffd\x1a0", None, 7)


async def test_a_record_is_written_once(postgres: PostgresDatabase) -> None:
    db = await connect(postgres.dsn())
    await migrate(db, "db")
    await insert_records(db, [])
    await insert_records(db, [a_record("ex_1"), a_record("ex_2")])
    await insert_records(db, [a_record("ex_2", status=500), a_record("ex_3")])
    rows = await db.fetch("SELECT exchange_id, status FROM records ORDER BY arrival")
    assert [tuple(row) for row in rows] == [("ex_1", 200), ("ex_2", 200), ("ex_3", 200)]
    await db.close()


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (records_sql.trail("'resp_1'", "arrival"), "records_by_response"),
        (records_sql.newest("1", "9", "arrival"), "records_by_time"),
        (f"{records_sql.RECORD} WHERE exchange_id = 'ex_1'", "records_pkey"),
    ],
)
async def test_a_question_uses_its_index(postgres: PostgresDatabase, question: str, index: str) -> None:
    db = await asyncpg.connect(postgres.dsn())
    await migrate(db, "db")
    await insert_records(
        db, [a_record(f"ex_{n}", started_at_ns=10 * n, response_id=f"resp_{n // 10}") for n in range(2_000)]
    )
    await db.execute("ANALYZE")
    plan = "\n".join(step for (step,) in await db.fetch(f"EXPLAIN {question}"))
    assert index in plan
    assert "Seq Scan" not in plan
    await db.close()


@pytest.mark.parametrize(
    ("wanted", "indexes"),
    [
        (Wanted(), ["records_by_time"]),
        (Wanted(provider="groq"), ["records_by_provider"]),
        (Wanted(model="rare"), ["records_by_model"]),
        (Wanted(account="acme"), ["records_by_account"]),
        (Wanted(key="team-7"), ["records_by_key", "records_by_key_id"]),
        (Wanted(ending=Ending.INCOMPLETE), ["records_by_ending"]),
        (Wanted(mark=Mark.FAILED), ["records_failed"]),
        (Wanted(mark=Mark.CANCELLED), ["records_cancelled"]),
        (Wanted(mark=Mark.ESTIMATED), ["records_estimated"]),
        (Wanted(mark=Mark.UNMETERED), ["records_unmetered"]),
        (Wanted(mark=Mark.UNPRICED), ["records_unpriced"]),
    ],
)
async def test_a_page_is_read_off_an_index(postgres: PostgresDatabase, wanted: Wanted, indexes: list[str]) -> None:
    db = await asyncpg.connect(postgres.dsn())
    await migrate(db, "db")
    await insert_records(
        db,
        [
            a_record(
                f"ex_{n}", started_at_ns=10 * n, key=f"team-{n % 100}", key_id=f"key_{n % 100}",
                bill=Bill(account="acme" if n % 100 == 7 else "other"),
            )
            for n in range(4_000)
        ],
    )  # fmt: skip
    await db.execute("ANALYZE")
    ((query, values),) = asked(searching.page(wanted, 9, (30_000, "ex_5")))
    plan = "\n".join(step for (step,) in await db.fetch(f"EXPLAIN {query.replace('?', '$')}", *values))
    for index in indexes:
        assert f"{index} " in plan
    assert "Seq Scan" not in plan
    await db.close()
