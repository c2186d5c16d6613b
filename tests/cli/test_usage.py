import asyncio
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from headgate.cli import usage
from headgate.errors import ConfigError
from headgate.records import Bill, Ending, Record
from headgate.stores.postgres import PostgresStore
from headgate.stores.sqlite import SqliteStore
from headgate.usage import Basis, Estimate, Usage
from tests.postgres_server import PostgresDatabase
from tests.stores.examples import NOON, a_record

HOUR_NS = 3600 * 1_000_000_000

RECORDS = [
    a_record("ex_1", usage=Usage(input_tokens=1_234_567, output_tokens=89, reported_cost_nanos=23_285_600),
             bill=Bill(cost_nanos=23_285_600)),
    a_record("ex_2", served_model="claude", provider="anthropic", key="team-a",
             usage=Usage(input_tokens=1_000, cache_read_tokens=900, output_tokens=11),
             bill=Bill(account="acme", cost_nanos=400_000, charge_nanos=440_000)),
    a_record("ex_3", served_model="claude", provider="anthropic", ending=Ending.CLIENT_LEFT, usage=Usage(),
             basis=Basis.ESTIMATED, estimate=Estimate(2_000, 30),
             bill=Bill(account="acme", cost_nanos=2_150_000, charge_nanos=2_365_000, flags=("estimated",))),
    a_record("ex_4", served_model=None, model_asked=None, provider=None, status=404, ending=Ending.NEVER_SENT,
             usage=Usage(), basis=Basis.NONE, counted=False),
    a_record("ex_5", usage=Usage(), basis=Basis.NONE, counted=False),
]  # fmt: skip


async def keep(store: SqliteStore | PostgresStore, *records: Record) -> None:
    for record in records:
        store.append(record)
    await store.aclose()


def store(path: Path, *records: Record) -> Path:
    asyncio.run(keep(SqliteStore(path), *records))
    return path


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return store(tmp_path / "records.db", *RECORDS)


def run(*arguments: str | Path, columns: int = 120) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    usage.register(app)
    return CliRunner().invoke(app, ["usage", *map(str, arguments)], env={"COLUMNS": str(columns)})


def table(result: Result) -> list[list[str]]:
    """The cells of the table, a line each."""
    lines = result.output.splitlines()
    return [line.split() for line in lines[2 : lines.index("", 3)] if line.strip(" ─")]


def test_the_table_shows_groups_and_their_total(db: Path) -> None:
    result = run("--db", db)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage by model\n")
    assert [" ".join(cells) for cells in table(result)] == [
        "model exchanges cost charge input cached output errors cancelled",
        "claude 2 $0.00255 $0.002805 1,000 900 11 0 1",
        "gpt-4o-2024-08-06 2 $0.0232856 - 1,234,567 - 89 0 0",
        "(no model) 1 - - - - - 1 0",
        "total 5 $0.0258356 $0.002805 1,235,567 900 100 1 1",
    ]


def test_it_says_what_the_sums_leave_open(db: Path) -> None:
    told = " ".join(run("--db", db).output.split())
    assert "an estimated 2,000 input and 30 output tokens of 1 exchange that the provider did not" in told
    assert "the usage of 1 exchange is not known at all" in told
    assert "the cost of 1 exchange is not known" in told


def test_nothing_open_nothing_said(tmp_path: Path) -> None:
    output = run("--db", store(tmp_path / "records.db", RECORDS[0])).output
    assert output.count("\n\n") == 1
    assert "charge" not in output, "nobody was charged"


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("provider", ["anthropic", "openai", "(no provider)"]),
        ("day", ["2025-11-01"]),
        ("key", ["(no key)", "team-a"]),
        ("account", ["(no account)", "acme"]),
    ],
)
def test_rows_by(db: Path, by: str, groups: list[str]) -> None:
    output = run("--db", db, "--by", by).output
    assert [output.index(group) for group in groups] == sorted(output.index(group) for group in groups)


@pytest.mark.parametrize("columns", [30, 60, 80, 100, 200])
def test_a_number_is_shown_whole_or_not_at_all(db: Path, columns: int) -> None:
    output = run("--db", db, columns=columns).output
    assert max(len(line) for line in output.splitlines()) <= columns
    assert "…" not in output
    shown = "1,235,567" in output
    told = " ".join(output.split())
    assert shown or " input" in told[told.index("Left out at this width:") :]
    assert ("$0.0258356" in output) == (columns > 30)
    assert ("Left out" in output) == (columns < 100)


def test_json_has_the_names_of_usage(db: Path) -> None:
    document = json.loads(run("--db", db, "--json").stdout)
    assert (document["since"], document["by"]) == (None, "model")
    claude, gpt, none = document["rows"]
    assert (claude["model"], gpt["model"], none["model"]) == ("claude", "gpt-4o-2024-08-06", None)
    assert (gpt["input_tokens"], gpt["cache_read_tokens"], gpt["reported_cost_nanos"]) == (1_234_567, None, 23_285_600)
    assert [(row["cost_nanos"], row["charge_nanos"], row["unpriced"]) for row in document["rows"]] == [
        (2_550_000, 2_805_000, 0), (23_285_600, None, 1), (None, None, 0),
    ]  # fmt: skip
    assert document["total"]["input_tokens"] == 1_235_567
    assert document["total"]["unmetered"] == 1


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    now = time.time_ns()
    db = store(tmp_path / "records.db", a_record("old", started_at_ns=NOON), a_record("new", started_at_ns=now))
    document = json.loads(run("--db", db, "--since", "2h", "--json").stdout)
    assert document["total"]["exchanges"] == 1
    assert datetime.fromisoformat(document["since"]).tzinfo is UTC
    assert json.loads(run("--db", db, "--since", "2025-11-01", "--json").stdout)["total"]["exchanges"] == 2


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOON - 3 * HOUR_NS // 2),
        ("24h", NOON - 24 * HOUR_NS),
        ("7d", NOON - 7 * 24 * HOUR_NS),
        ("999999d", 0),
        ("2025-11-01", NOON - 12 * HOUR_NS),
        ("2025-11-01T12:00+01:00", NOON - HOUR_NS),
        ("1960-01-01", 0),
    ],
)
def test_since(text: str, moment: int) -> None:
    assert usage.parse_since(text, NOON) == moment


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7w", "yesterday", "2025-13-01", "2025-11-02", "9999-12-31"])
def test_a_wrong_since_is_told(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        usage.parse_since(text, NOON)


def test_a_plot_says_what_the_table_says(tmp_path: Path) -> None:
    now = time.time_ns()
    records = [
        a_record(f"ex_{n}", started_at_ns=now - n * HOUR_NS, served_model=f"model-{n % 7}", bill=Bill(cost_nanos=10**6))
        for n in range(40)
    ]
    db = store(tmp_path / "records.db", *records)
    for by, charts in (("model", 6), ("day", 1)):
        result = run("--db", db, "--plot", "cost", "--by", by, columns=100)
        assert result.exit_code == 0, result.output
        assert result.output.startswith("Cost by hour, ")
        lines = result.output.splitlines()
        assert max(map(len, lines)) <= 100
        drawn = [line for line in lines if line.split("  ")[-1].startswith("$") and "┤" not in line and "┼" not in line]
        nanos = [Decimal(line.rsplit("$", 1)[1]) for line in drawn[:charts]]
        assert sum(nanos) == Decimal("0.025")
        assert "$0.025" in next(line for line in lines if line.startswith("total"))
    assert "Tokens by day, " in run("--db", db, "--plot", "tokens", "--since", "30d").output
    assert "Exchanges by day, " in run("--db", db, "--plot", "exchanges", "--step", "day").output
    assert run("--db", db, "--plot", "cost", "--json").exit_code == 2


def test_a_plot_without_a_beginning_is_of_the_day_before_its_end(db: Path) -> None:
    """The records are of 2025-11-01, noon; that was long before the last 24 hours."""
    told = run("--db", db, "--plot", "exchanges", "--until", "2025-11-02").output
    assert told.startswith("Exchanges by hour, 2025-11-01 00:00 to 2025-11-02 00:00 UTC")


def test_sparklines_where_the_span_is_known_and_there_is_room(db: Path) -> None:
    assert "cost over time" in run("--db", db, "--since", "2025-10-31", columns=160).output
    assert "cost over time" not in run("--db", db, "--since", "2025-10-31", columns=90).output
    assert "cost over time" not in run("--db", db, columns=160).output
    assert "cost over time" not in run("--db", db, "--since", "2025-10-31", "--by", "day", columns=160).output


def test_until_leaves_out_what_is_younger(db: Path) -> None:
    document = json.loads(run("--db", db, "--until", "2025-11-01T12:00", "--json").stdout)
    assert (document["until"], document["rows"]) == ("2025-11-01T12:00:00+00:00", [])
    assert json.loads(run("--db", db, "--until", "2025-11-02", "--json").stdout)["total"]["exchanges"] == 5
    assert "until 2025-11-01 12:00 UTC" in run("--db", db, "--until", "2025-11-01T12:00").output


def test_a_missing_store_is_told_with_the_next_step(tmp_path: Path) -> None:
    result = run("--db", tmp_path / "nowhere.db")
    assert result.exit_code == 1
    assert "nowhere.db does not exist" in result.stderr
    assert "headgate demo" in result.stderr
    assert not (tmp_path / "nowhere.db").exists()


def test_an_empty_store_is_told_with_the_next_step(tmp_path: Path) -> None:
    db = store(tmp_path / "records.db")
    result = run("--db", db)
    assert result.exit_code == 0
    assert "There are no records in" in result.output
    assert "headgate demo" in result.output
    assert json.loads(run("--db", db, "--json").stdout)["rows"] == []


def test_what_is_no_store_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Dear diary, " * 1000)
    assert isinstance(run("--db", tmp_path / "diary.txt").exception, ConfigError)


def test_a_name_cannot_steer_the_terminal_or_the_table(tmp_path: Path) -> None:
    db = store(tmp_path / "records.db", a_record(served_model="\x1b]0;pwned\x07[red]x[/red]"))
    output = run("--db", db).output
    assert "\x1b" not in output
    assert "\ufffd]0;pwned\ufffd[red]x[/red]" in output


def test_the_default_is_where_the_gateway_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store(tmp_path / "headgate" / "headgate.db", *RECORDS)
    assert run().output == run("--db", tmp_path / "headgate" / "headgate.db").output


def test_the_config_names_the_database(tmp_path: Path) -> None:
    db = store(tmp_path / "records.db", *RECORDS)
    config = tmp_path / "headgate.toml"
    config.write_text(f'database = "{db}"\n')
    assert run("--config", config).output == run("--db", db).output
    other = store(tmp_path / "other.db")
    assert "no records in" in run("--config", config, "--db", other).output


def test_a_postgresql_database_shows_the_same(postgres: PostgresDatabase, db: Path, tmp_path: Path) -> None:
    async def fill(*records: Record) -> None:
        database = PostgresStore(postgres.dsn(), spill_folder=tmp_path)
        await database.open()
        await keep(database, *records)

    config = tmp_path / "headgate.toml"
    config.write_text(f'database = "{postgres.dsn()}"\n')
    assert "start `headgate serve` on it once" in str(run("--config", config).exception)
    asyncio.run(fill())
    empty = run("--config", config)
    assert "There are no records in the PostgreSQL database." in empty.output
    asyncio.run(fill(*RECORDS))
    for more in (["--by", "account"], ["--json"], ["--by", "day", "--since", "2025-11-01"]):
        shown = run("--config", config, *more)
        assert shown.exit_code == 0, shown
        assert shown.output == run("--db", db, *more).output
