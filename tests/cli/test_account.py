import asyncio
import sqlite3

from headgate.ledger.commands import Place
from headgate.stores.sqlite import SqliteStore
from tests.cli.commands import Commands


def place(headgate: Commands, nanos: int) -> None:
    """A hold, as a gateway places it."""

    async def run() -> None:
        store = SqliteStore(headgate.database)
        assert (await store.submit(Place("ex_1", "acme", nanos, 1, "node"))).stands
        await store.aclose()

    asyncio.run(run())


def test_open_tells_what_comes_next(headgate: Commands) -> None:
    told = headgate.good("account", "open", "acme").out
    assert told.startswith("Opened acme, prepaid.\n")
    assert "headgate key create" in told


def test_opening_again_changes_only_what_is_said(headgate: Commands) -> None:
    headgate.good("account", "open", "acme", "--postpaid", "--limit", "5")
    assert "postpaid to -$5.00." in headgate.good("account", "open", "acme").out
    assert "postpaid to -$6.50." in headgate.good("account", "open", "acme", "--limit", "6.50").out
    assert "The account is there: acme, prepaid." in headgate.good("account", "open", "acme", "--prepaid").out


def test_what_is_refused(headgate: Commands) -> None:
    assert "only a postpaid account" in headgate.refused("account", "open", "acme", "--limit", "5")
    assert "expected dollars" in headgate.refused("account", "open", "acme", "--postpaid", "--limit", "a lot")
    assert "expected 1 to 100 letters" in headgate.refused("account", "open", "a b")
    for command in ("show", "close"):
        assert "no account 'nobody'" in headgate.refused("account", command, "nobody")


def test_list_and_show(headgate: Commands) -> None:
    assert "account open" in headgate.good("account", "list").out
    headgate.good("account", "open", "acme")
    headgate.good("credit", "add", "acme", "12.5")
    place(headgate, 2_000_000_000)
    headgate.good("account", "open", "old", "--postpaid", "--limit", "3")
    assert "Its balance is $0.00" in headgate.good("account", "close", "old").out
    rows = [line.split() for line in headgate.good("account", "list").out.splitlines() if "$" in line]
    assert rows == [
        ["acme", "prepaid", "$10.50", "$2.00", "$12.50"],
        ["old", "postpaid", "to", "-$3.00,", "closed", "$0.00", "$0.00", "$0.00"],
    ]
    assert "available $10.50 held $2.00 balance $12.50" in headgate.good("account", "show", "acme").words
    assert headgate.good("account", "list", "--json").json == [
        headgate.good("account", "show", name, "--json").json for name in ("acme", "old")
    ]


def test_check_finds_a_balance_that_is_not_the_sum(headgate: Commands) -> None:
    headgate.good("account", "open", "acme")
    headgate.good("account", "open", "other")
    headgate.good("credit", "add", "acme", "10")
    place(headgate, 1)
    assert "The books are right" in headgate.good("account", "check").out
    with sqlite3.connect(headgate.database) as db:
        db.execute("UPDATE accounts SET posted_nanos = posted_nanos + 1 WHERE account_id = 'acme'")
    db.close()
    ran = headgate("account", "check")
    assert ran.status == 1
    assert "acme wrong $10.000000001 $10.00 $0.000000001 $0.000000001 $0.000000001" in ran.words
    assert "other" not in ran.out
    ran = headgate("account", "check", "--json")
    assert (ran.status, [finding["verdict"] for finding in ran.json]) == (1, ["wrong", "right"])


def test_help_says_what_each_command_does(headgate: Commands) -> None:
    told = " ".join(headgate.good("account", "open", "--help").out.replace("│", " ").split())
    assert "prepaid, unless told otherwise" in told
    assert "How far a postpaid one may go below zero" in told
