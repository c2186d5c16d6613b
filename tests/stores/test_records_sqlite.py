import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from headgate.records import Attempt, Bill, Record
from headgate.stores.queries import find
from headgate.stores.records_sqlite import keep
from headgate.stores.schema import migrate
from headgate.usage import Usage
from tests.stores.examples import a_record


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("records.db"))
    yield connection
    connection.close()


def some(number: int) -> Record:
    """Records with values in different columns."""
    name = f"ex_{number:04}"
    plain = a_record(name, key=None if number % 2 else "team", usage=Usage(input_tokens=number))
    if number % 3:
        return plain
    return replace(plain, error="quite", bill=Bill(account="acme", charge_nanos=number))


def numbers(db: sqlite3.Connection) -> list[tuple[int, str]]:
    return db.execute("SELECT rowid, exchange_id FROM records ORDER BY rowid").fetchall()


@pytest.mark.parametrize("count", [1, 3, 4, 5, 16, 17, 21, 100])
def test_all_come_in_their_order_whatever_values_they_have(db: sqlite3.Connection, count: int) -> None:
    records = [some(number) for number in range(count)]
    keep(db, records)
    assert numbers(db) == [(n + 1, record.exchange_id) for n, record in enumerate(records)]
    assert [find(db, record.exchange_id) for record in records] == records
    assert db.execute("SELECT last FROM arrivals").fetchall() == [(count,)]
    assert db.execute("SELECT count(*) FROM unrolled").fetchall() == [(count,)]


def test_a_repeat_is_passed_over_and_takes_no_number(db: sqlite3.Connection) -> None:
    keep(db, [some(1), some(2), some(2)])
    keep(db, [some(1), some(3)])
    assert [name for _, name in numbers(db)] == ["ex_0001", "ex_0002", "ex_0003"]
    assert db.execute("SELECT last FROM arrivals").fetchall() == [(numbers(db)[-1][0],)]


def test_one_that_cannot_be_written_costs_its_neighbours_in_the_statement_nothing(
    db: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    records = [a_record(f"ex_{number:02}") for number in range(20)]
    records[7] = replace(records[7], method=None)
    records[12] = replace(records[12], bytes_in=2**63)
    records[18] = replace(records[18], path="\ud800")
    keep(db, records)
    written = {name for _, name in numbers(db)}
    assert written == {record.exchange_id for record in records} - {"ex_07", "ex_12"}
    assert db.execute("SELECT path FROM records WHERE exchange_id = 'ex_18'").fetchall() == [("\ufffd",)]
    assert caplog.text.count("can never be written") == 2
    assert caplog.text.count("ex_07") + caplog.text.count("ex_12") == 2


def test_texts_that_are_half_a_character_and_great_numbers_survive_in_lists(db: sqlite3.Connection) -> None:
    record = replace(a_record(), attempts=(Attempt("p", None, 1, 2, error="\ud800 é", cost_nanos=2**70),))
    keep(db, [record])
    assert find(db, record.exchange_id) == record
