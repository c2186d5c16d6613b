import ast
import asyncio
import inspect
import os
import pwd
import threading
from pathlib import Path

import pytest

from headgate.access.budgets import Window
from headgate.admin.office import Office
from headgate.audit.deeds import Deed, DeedsWanted
from headgate.cli import desk
from headgate.errors import BadRequest, ConfigError
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.stores.sqlite import SqliteStore
from tests.cli.commands import Commands

NOON_NS = 1_762_000_000 * 1_000_000_000
DAY_NS = 86_400 * 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("12.50", 12_500_000_000), ("$12.50", 12_500_000_000), ("-0.25", -250_000_000), ("-$0.25", -250_000_000),
     ("+1", 1_000_000_000), ("+$1", 1_000_000_000)],
)  # fmt: skip
def test_amounts_as_people_type_them(text: str, nanos: int) -> None:
    assert desk.usd(text, "USD") == nanos


@pytest.mark.parametrize("text", ["", "$", "--1", "+-1", "$$1", "1$", "$-1", "1,5"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(BadRequest):
        desk.usd(text, "USD")


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("30d", NOON_NS + 30 * DAY_NS),
        ("12h", NOON_NS + DAY_NS // 2),
        ("90m", NOON_NS + DAY_NS // 16),
        ("1970-01-02", DAY_NS),
        ("1970-01-02T00:00:00+01:00", DAY_NS - DAY_NS // 24),
    ],
)
def test_when_a_key_expires(text: str, at_ns: int) -> None:
    assert desk.parse_until(text, NOON_NS) == at_ns


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1w", "soon", "2026-13-01"])
def test_when_is_not_known(text: str) -> None:
    with pytest.raises(BadRequest, match="--expires"):
        desk.parse_until(text, NOON_NS)


def test_budgets_as_people_type_them() -> None:
    assert desk.parse_budget("50/month") == (50_000_000_000, Window.MONTH)
    assert desk.parse_budget("0.5/total") == (500_000_000, Window.TOTAL)
    for text in ("", "50", "/month", "50/", "50/Month", "50/month/day", "x/day"):
        with pytest.raises(BadRequest):
            desk.parse_budget(text)


def test_nothing_printed_can_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    desk.print_table(["a", "b"], [["\x1b]0;x\x07", "[red]$1[/red]"]], ["b"])
    desk.print_fields([("name", "\x1b[31m"), ("empty", "")])
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "[red]$1[/red]" in told
    assert "empty" not in told


def test_times_and_money_for_people() -> None:
    assert desk.time_text(NOON_NS) == "2025-11-01 12:26:40"
    assert desk.time_text(None) == ""
    assert (desk.money(None), desk.money(-1)) == ("-", "-$0.000000001")


def test_the_database_is_that_of_the_config(headgate: Commands, tmp_path: Path) -> None:
    headgate.good("account", "open", "acme")
    config = tmp_path / "headgate.toml"
    config.write_text(f"database = '{headgate.database}'\n")

    async def names(office: object) -> list[str]:
        return [account.account_id for account in await office.accounts()]  # type: ignore[attr-defined]

    assert desk.ask(config, None, names) == ["acme"]
    assert desk.ask(config, tmp_path / "other.db", names) == []
    with pytest.raises(ConfigError):
        desk.ask(tmp_path / "missing.toml", None, names)


def test_commands_work_while_a_gateway_has_the_store_open(headgate: Commands) -> None:
    """Another thread keeps paying in over a store of its own; nobody's payment is lost."""
    paid = stopped = 0
    stop = threading.Event()

    async def gateway() -> None:
        nonlocal paid, stopped
        store = SqliteStore(headgate.database)
        await store.submit(OpenAccount("acme", AccountKind.PREPAID, 1))
        while not stop.is_set():
            outcome = await store.submit(Post(f"g{paid}", "acme", EntryKind.TOP_UP, 1, 1))
            assert outcome.stands
            paid += 1
        await store.aclose()
        stopped = 1

    headgate.good("account", "open", "acme")
    thread = threading.Thread(target=lambda: asyncio.run(gateway()))
    thread.start()
    try:
        for number in range(3):
            headgate.good("credit", "add", "acme", "1", "--id", f"p{number}")
    finally:
        stop.set()
        thread.join()
    assert stopped
    assert paid
    assert headgate.good("account", "show", "acme", "--json").json["posted_nanos"] == 3_000_000_000 + paid
    assert "The books are right" in headgate.good("account", "check").out


LOOKING = {
    "accounts", "account", "entries", "hold", "open_holds", "check", "keys", "key", "find_key", "budgets", "budgets_of",
}  # fmt: skip
CHANGING = {
    name for name, it in vars(Office).items() if inspect.iscoroutinefunction(it) and not name.startswith("_")
} - LOOKING | {"prune", "prune_transcripts", "submit", "put_key"}
"""All else that an office does changes something, and so does what of a store commands may be tempted to use."""


def deeds_of(database: Path) -> list[Deed]:
    """All deeds, oldest first."""

    async def read() -> list[Deed]:
        store = SqliteStore(database)
        try:
            return [deed for _, deed in await store.deeds(DeedsWanted(), 100)][::-1]
        finally:
            await store.aclose()

    return asyncio.run(read())


def test_what_is_done_on_the_command_line_is_kept(headgate: Commands) -> None:
    headgate.good("account", "open", "acme", "--postpaid", "--limit", "5")
    headgate.good("credit", "add", "acme", "$12.50", "--id", "inv-7", "--note", "with sk-proj-Zx81kQpR5tUvWyAbCdEf")
    headgate.good("credit", "correct", "acme", "-0.25", "--note", "why")
    made = headgate.good(
        "key", "create", "k", "--account", "acme", "--tag", "red", "--rpm", "5", "--budget", "50/month", "--json"
    ).json
    headgate.good("budget", "set", "1/day", "--tag", "red")
    headgate.good("budget", "remove", "day", "--tag", "red")
    headgate.good("key", "revoke", "k")
    headgate.good("account", "close", "acme")
    headgate.refused("credit", "add", "nobody", "1")
    headgate.refused("key", "revoke", "unheard-of")
    for looking in (["account", "list"], ["key", "list"], ["budget", "list"], ["credit", "history", "acme"]):
        headgate.good(*looking)
    deeds = deeds_of(headgate.database)
    key_id, me = made["key_id"], f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    asked = {"name": "k", "account": "acme", "tags": ["red"], "limits": {"requests_per_minute": 5}}
    assert [(deed.action, deed.subject, deed.status, deed.detail) for deed in deeds[:8]] == [
        ("put_account", "account/acme", 200, {"kind": "postpaid", "limit_usd": "5"}),
        ("top_up", "account/acme", 200,
         {"amount_usd": "$12.50", "note": "with [redacted]", "idempotency_key": "inv-7"}),
        ("correct", "account/acme", 200, {"amount_usd": "-0.25", "note": "why"}),
        ("create_key", f"key/{key_id}", 200, asked),
        ("put_budget", f"budget/key/{key_id}/month", 200, {"limit_usd": "50.00"}),
        ("put_budget", "budget/tag/red/day", 200, {"limit_usd": "1.00"}),
        ("remove_budget", "budget/tag/red/day", 200, {}),
        ("revoke_key", f"key/{key_id}", 200, {}),
    ]  # fmt: skip
    assert [(deed.action, deed.subject, deed.status) for deed in deeds[8:]] == [
        ("close_account", "account/acme", 200),
        ("top_up", "account/nobody", 404),
        ("revoke_key", "key/unheard-of", 404),
    ]
    assert {deed.actor for deed in deeds} == {me}
    assert made["key"] not in str(deeds)


def inside_deeds(tree: ast.Module) -> set[ast.AST]:
    """What stands in the blocks of deeds, or in a function that is called nowhere else."""
    blocks = [block for block in ast.walk(tree) if isinstance(block, ast.AsyncWith)]
    inside = {it for block in blocks if "doing(" in ast.unparse(block.items[0]) for it in ast.walk(block)}
    calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call)]
    for function in tree.body:
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            own = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == function.name]
            if own and inside.issuperset(own):
                inside.update(ast.walk(function))
    return inside


def test_no_command_changes_anything_outside_a_deed() -> None:
    """Whoever adds a command that changes something has to say so."""
    assert set(vars(Office)) >= LOOKING
    found = set()
    for path in Path(desk.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        inside = inside_deeds(tree)
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CHANGING:
                found.add(call.func.attr)
                assert call in inside, f"{path.name}:{call.lineno}"
    assert found >= {"open_account", "top_up", "create_key", "put_budget", "prune"}
