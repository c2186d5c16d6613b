import asyncio
import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from headgate.admin.export import COLUMNS, GUARDED, Format, Kind, head, pages, rendered, time_text
from headgate.records import Bill, Record, Wanted
from headgate.stores.memory import MemoryStore
from headgate.usage import Reading, Usage
from tests.admin.exported import csv_rows, json_rows, nanoseconds, record_of
from tests.stores.examples import NOON, PLAIN, a_record, any_record, some_records, some_wanted


def as_csv(*records: Record) -> str:
    return (head(Format.CSV) + rendered(records, Format.CSV)).decode()


def as_jsonl(*records: Record) -> str:
    return (head(Format.JSONL) + rendered(records, Format.JSONL)).decode()


@given(st.lists(any_record, max_size=3))
def test_csv_read_back_equals_the_records(records: list[Record]) -> None:
    assert [record_of(row) for row in csv_rows(as_csv(*records))] == records


@given(st.lists(any_record, max_size=3))
def test_json_lines_read_back_equal_the_records(records: list[Record]) -> None:
    text = as_jsonl(*records)
    assert [record_of(row) for row in json_rows(text)] == records
    assert text.count("\n") == len(records)


@given(any_record)
def test_both_say_the_same(record: Record) -> None:
    assert csv_rows(as_csv(record)) == json_rows(as_jsonl(record))


def test_nothing_of_a_record_is_left_out() -> None:
    names = [column.name for column in COLUMNS]
    assert len(names) == len(set(names))
    known = {f.name for cls in (Record, Reading, Bill, Usage) for f in fields(cls)}
    known |= {"estimated_input_tokens", "estimated_output_tokens", "started_at", "model"}
    known |= {name.removesuffix("_nanos") + "_usd" for name in known if name.endswith("_nanos")}
    assert set(names) == known - {"reading", "bill", "usage", "estimate", "started_at_ns"}


@pytest.mark.parametrize("first", GUARDED)
def test_a_text_cannot_be_a_formula_in_a_spreadsheet(first: str) -> None:
    text = f'{first}HYPERLINK("http://x","y")'
    record = a_record(model_asked=text, served_model=None)
    with io.StringIO(as_csv(record), newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["model_asked"] == f"'{text}"
    assert not [name for name, cell in row.items() if cell and cell[0] in GUARDED.replace("'", "")]
    assert csv_rows(as_csv(record))[0]["model_asked"] == text
    assert json.loads(as_jsonl(record))["model_asked"] == text


def test_unknown_is_not_empty() -> None:
    (row,) = csv_rows(as_csv(a_record(model_asked="", served_model=None, bill=Bill(charge_nanos=0))))
    assert (row["model_asked"], row["served_model"], row["cost_nanos"]) == ("", None, None)
    assert (row["charge_nanos"], row["charge_usd"]) == (0, "0.00")


def test_a_lone_surrogate_does_not_stop_it() -> None:
    record = a_record(finish_reason="a\ud800b")
    assert csv_rows(as_csv(record))[0]["finish_reason"] == "a\ufffdb"
    assert json.loads(as_jsonl(record))["finish_reason"] == "a\ufffdb"


@pytest.mark.parametrize("at_ns", [0, 1, NOON, NOON + 1, 2**63 - 1])
def test_times_are_exact(at_ns: int) -> None:
    assert nanoseconds(time_text(at_ns)) == at_ns
    assert time_text(NOON + 1) == "2025-11-01T12:00:00.000000001Z"


def test_a_value_is_of_the_kind_that_its_column_says() -> None:
    kinds = {Kind.TEXT: str, Kind.INTEGER: int, Kind.BOOLEAN: bool, Kind.TIME: int, Kind.DOLLARS: int}
    for column in COLUMNS:
        value = column.value(PLAIN)
        assert value is None or column.kind is Kind.JSON or isinstance(value, kinds[column.kind]), column.name


@settings(deadline=None)
@given(some_records, some_wanted, st.integers(1, 3))
def test_the_walk_finds_all_that_is_wanted_newest_first(records: list[Record], wanted: Wanted, size: int) -> None:
    async def walk() -> list[Record]:
        store = MemoryStore()
        for record in records:
            store.append(record)
        found = [page async for page in pages(store, wanted, size)]
        assert all(0 < len(page) <= size for page in found)
        return [record for page in found for record in page]

    expected = sorted(filter(wanted.fits, records), key=lambda r: (r.started_at_ns, r.exchange_id), reverse=True)
    assert asyncio.run(walk()) == expected


async def test_what_arrives_meanwhile_comes_at_most_once() -> None:
    store = MemoryStore()
    for n in (2, 4, 6):
        store.append(a_record(f"ex_{n}", started_at_ns=n))
    seen = []
    async for page in pages(store, Wanted(), 1):
        seen += [record.exchange_id for record in page]
        for n in (1, 5, 7):
            store.append(a_record(f"ex_{n}", started_at_ns=n))
    assert seen == ["ex_6", "ex_5", "ex_4", "ex_2", "ex_1"]
