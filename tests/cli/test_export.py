import asyncio
import builtins
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from pyarrow import parquet

from headgate.admin.export import time_text
from headgate.records import Bill, Record
from headgate.stores.postgres import PostgresStore
from headgate.stores.summary import GroupBy, summarise
from headgate.usage import Usage
from tests.admin.exported import csv_rows, json_rows, record_of
from tests.cli.commands import Commands, filled, multiplied, on_a_terminal
from tests.cli.test_usage import RECORDS
from tests.postgres_server import PostgresDatabase
from tests.stores.examples import NOON, a_record

WHEN = [
    a_record(f"w_{n}", started_at_ns=NOON + n, key=f"team-{n % 2}", model_asked="=cmd()",
             bill=Bill(account="acme", cost_nanos=n, charge_nanos=10**18 + n))
    for n in range(7)
]  # fmt: skip


def ids(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["exchange_id"] for row in rows]


def test_csv_goes_to_standard_output_and_is_read_back_equal(headgate: Commands) -> None:
    filled(headgate.database, *WHEN, *RECORDS[1:])
    rows = csv_rows(headgate.good("export").out)
    records = {record.exchange_id: record for record in (*WHEN, *RECORDS[1:])}
    assert [record_of(row) for row in rows] == [records[name] for name in ids(rows)]
    assert ids(rows)[0] == "w_6"
    assert len(rows) == len(records)


def test_json_lines_likewise(headgate: Commands) -> None:
    filled(headgate.database, *WHEN)
    assert [record_of(row) for row in json_rows(headgate.good("export", "--format", "jsonl").out)] == WHEN[::-1]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_is_exported_adds_up_to_what_usage_says(headgate: Commands, tmp_path: Path, form: str) -> None:
    filled(headgate.database, *RECORDS)
    out = tmp_path / f"records.{form}"
    ran = headgate.good("export", "--format", form, "--out", str(out))
    assert (ran.out, ran.err) == ("", "")
    records = [record_of(row) for row in rows_of(out, form)]
    said = headgate.good("usage", "--json").json
    assert [row.as_json(GroupBy.MODEL) for row in summarise(records, GroupBy.MODEL)] == said["rows"]


def rows_of(path: Path, form: str) -> list[dict[str, Any]]:
    if form == "csv":
        return csv_rows(path.read_bytes().decode())
    return json_rows(path.read_text()) if form == "jsonl" else parquet_rows(path)


def parquet_rows(path: Path | BinaryIO) -> list[dict[str, Any]]:
    """Rows of Parquet, as those of JSON lines are."""
    table = parquet.read_table(path)
    whens = table["started_at"].cast("int64").to_pylist()
    nested = ("cache_write_tokens_by_ttl", "tool_calls", "billed_units", "legs", "terms", "anomalies", "attempts",
              "lines", "flags")  # fmt: skip
    rows = []
    for row, at_ns in zip(table.drop_columns("started_at").to_pylist(), whens, strict=True):
        row |= {name: None if row[name] is None else json.loads(row[name]) for name in nested}
        rows.append(row | {"started_at": time_text(at_ns)})
    return rows


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--since", "2025-11-01T12:00"], [6, 5, 4, 3, 2, 1, 0]),
        (["--until", "2025-11-01T12:00"], []),
        (["--until", "2025-11-02", "--key", "team-1"], [5, 3, 1]),
        (["--account", "acme", "--provider", "openai"], [6, 5, 4, 3, 2, 1, 0]),
        (["--model", "unheard-of"], []),
        (["--failed"], []),
    ],
)
def test_filters(headgate: Commands, options: list[str], numbers: list[int]) -> None:
    filled(headgate.database, *WHEN)
    rows = json_rows(headgate.good("export", "--format", "jsonl", *options).out)
    assert ids(rows) == [f"w_{n}" for n in numbers]


def test_until_is_exclusive_to_the_nanosecond(headgate: Commands) -> None:
    filled(
        headgate.database, a_record("a", started_at_ns=NOON - 1), a_record("b"), a_record("c", started_at_ns=NOON + 1)
    )
    rows = json_rows(headgate.good("export", "--format", "jsonl", "--until", "2025-11-01T12:00").out)
    assert ids(rows) == ["a"]


def test_a_file_is_replaced_whole_or_left_as_it_is(
    headgate: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(headgate.database, *WHEN)
    out = tmp_path / "records.csv"
    out.write_text("what was there")
    with monkeypatch.context() as broken:
        broken.setattr("headgate.admin.export.time_text", _fails)
        with pytest.raises(ZeroDivisionError):
            headgate("export", "--format", "jsonl", "--out", str(out))
    assert out.read_text() == "what was there"
    headgate.good("export", "--out", str(out))
    assert len(csv_rows(out.read_bytes().decode())) == len(WHEN)
    assert [path.name for path in tmp_path.glob("*.part")] == []


def _fails(_: int) -> str:
    raise ZeroDivisionError


def test_parquet_has_types_that_hold_everything(headgate: Commands, tmp_path: Path) -> None:
    largest = 2**63 - 1
    record = a_record(started_at_ns=largest, usage=Usage(input_tokens=largest), bill=Bill(cost_nanos=largest))
    filled(headgate.database, record)
    out = tmp_path / "records.parquet"
    headgate.good("export", "--format", "parquet", "--out", str(out))
    schema = parquet.read_schema(out)
    types = {name: str(schema.field(name).type) for name in ("started_at", "cost_nanos", "cost_usd", "key", "counted")}
    assert types == {
        "started_at": "timestamp[ns, tz=UTC]", "cost_nanos": "int64", "cost_usd": "decimal128(19, 9)",
        "key": "string", "counted": "bool",
    }  # fmt: skip
    (row,) = parquet_rows(out)
    assert record_of(row) == record


def test_parquet_needs_a_file_and_the_extra(
    headgate: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(headgate.database, *WHEN)
    ran = headgate("export", "--format", "parquet")
    assert ran.status == 2
    assert "--out" in ran.err
    real = builtins.__import__

    def without_pyarrow(name: str, *more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.delitem(sys.modules, "headgate.cli.parquet", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    out = tmp_path / "records.parquet"
    assert "pip install 'headgate[parquet]'" in headgate.refused("export", "--format", "parquet", "--out", str(out))
    assert not out.exists()


def test_a_missing_store_is_told(headgate: Commands, tmp_path: Path) -> None:
    ran = headgate("export", "--out", str(tmp_path / "records.csv"))
    assert ran.status == 1
    assert "does not exist" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_sees_how_far_it_is_and_a_file_does_not(headgate: Commands) -> None:
    filled(headgate.database, *WHEN)
    status, out, told = on_a_terminal("export", "--database", headgate.database)
    assert status == 0
    assert len(csv_rows(out)) == len(WHEN)
    assert "Exporting" in told
    assert "7 records" in told


def test_a_closed_pipe_ends_it_without_a_word(headgate: Commands) -> None:
    multiplied(filled(headgate.database, WHEN[0]), 10_000)
    command = [sys.executable, "-m", "headgate", "export", "--database", str(headgate.database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"started_at,")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return multiplied(filled(tmp_path_factory.mktemp("many") / "many.db", RECORDS[1]), 100_000)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_hundred_thousand_records_take_no_more_memory_than_some(tmp_path: Path, many: Path, form: str) -> None:
    few = multiplied(filled(tmp_path / "few.db", RECORDS[1]), 25_000 if form == "parquet" else 5_000)
    peaks = [_peak_kib(database, form, tmp_path / f"{database.stem}.{form}") for database in (few, many)]
    assert peaks[1] - peaks[0] < 25 * 1024, peaks
    written = tmp_path / f"many.{form}"
    if form == "parquet":
        assert parquet.read_metadata(written).num_rows == 100_000
    else:
        with written.open("rb") as file:
            assert sum(1 for _ in file) == 100_000 + (form == "csv")


def _peak_kib(database: Path, form: str, out: Path) -> int:
    """The most memory that an export of it had."""
    script = "import resource, sys; from headgate import cli\ntry: cli.main()\nexcept SystemExit: pass\n"
    script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    arguments = ["export", "--database", str(database), "--format", form, "--out", str(out)]
    ran = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=True)
    return int(ran.stdout)


def test_a_postgresql_database_gives_the_same(postgres: PostgresDatabase, headgate: Commands, tmp_path: Path) -> None:
    async def fill(*records: Record) -> None:
        store = PostgresStore(postgres.dsn(), spill_folder=tmp_path)
        await store.open()
        for record in records:
            store.append(record)
        await store.aclose()

    asyncio.run(fill(*WHEN, *RECORDS[1:]))
    filled(headgate.database, *WHEN, *RECORDS[1:])
    config = tmp_path / "headgate.toml"
    config.write_text(f'database = "{postgres.dsn()}"\n')
    command = [sys.executable, "-m", "headgate", "export", "--config", str(config)]
    ran = subprocess.run(command, capture_output=True, check=True)
    assert ran.stdout.decode() == headgate.good("export").out
