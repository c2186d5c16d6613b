import asyncio

import pytest

from headgate.access.budgets import Budget, Scope, Window
from headgate.ledger.commands import Capture, Place
from headgate.stores.sqlite import SqliteStore
from tests.cli.commands import Commands


@pytest.fixture(autouse=True)
def _key(headgate: Commands) -> None:
    headgate.good("account", "open", "acme", "--postpaid")
    headgate.good("key", "create", "k", "--account", "acme", "--tag", "red")


def spend(headgate: Commands, budget: Budget, nanos: int) -> None:
    """Spend from a budget, as a gateway does, and hold one nano more."""

    async def run() -> None:
        store = SqliteStore(headgate.database)
        for hold, amount in (("ex_1", nanos), ("ex_2", 1)):
            placed = await store.submit(Place(hold, "acme", amount, 1, "node", caps=(budget.cap(1, amount),)))
            assert placed.stands
        assert (await store.submit(Capture("ex_1", "acme", nanos, 1))).stands
        await store.aclose()

    asyncio.run(run())


def test_budgets_of_keys_accounts_and_tags(headgate: Commands) -> None:
    assert "no budgets yet" in headgate.good("budget", "list").out
    assert "k may spend $50.00 (month)" in headgate.good("budget", "set", "50/month", "--key", "k").out
    headgate.good("budget", "set", "100/total", "--account", "acme")
    made = headgate.good("budget", "set", "0.25/day", "--tag", "red", "--json").json
    assert (made["scope"], made["subject"], made["limit_nanos"]) == ("tag", "red", 250_000_000)
    rows = [line.split() for line in headgate.good("budget", "list").out.splitlines() if "$" in line]
    assert rows == [
        ["account", "acme", "total", "$100.00", "$0.00", "$0.00", "$100.00"],
        ["key", "k", "month", "$50.00", "$0.00", "$0.00", "$50.00"],
        ["tag", "red", "day", "$0.25", "$0.00", "$0.00", "$0.25"],
    ]
    assert len(headgate.good("key", "show", "k", "--json").json["budgets"]) == 3


def test_what_was_spent_stays_spent(headgate: Commands) -> None:
    headgate.good("budget", "set", "1/total", "--account", "acme")
    spend(headgate, Budget("account:acme:total", Scope.ACCOUNT, "acme", Window.TOTAL, 10**9), 400_000_000)
    told = headgate.good("budget", "set", "2/total", "--account", "acme").out
    assert "$0.40 is used and $0.000000001 held" in told
    [budget] = headgate.good("budget", "list", "--json").json
    assert (budget["used_usd"], budget["held_nanos"], budget["left_usd"]) == ("0.40", 1, "1.599999999")


def test_remove(headgate: Commands) -> None:
    headgate.good("budget", "set", "50/month", "--key", "k")
    assert "no budget" in headgate.refused("budget", "remove", "day", "--key", "k")
    assert "Removed" in headgate.good("budget", "remove", "month", "--key", "k").out
    assert headgate.good("budget", "list", "--json").json == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["set", "50/month"], "one of --key, --account and --tag"),
        (["set", "50/month", "--key", "k", "--tag", "red"], "one of --key, --account and --tag"),
        (["set", "50", "--tag", "red"], "50/month"),
        (["set", "50/year", "--tag", "red"], "day, week, month, total"),
        (["set", "-5/day", "--tag", "red"], ""),
        (["set", "50/month", "--key", "other"], "no key 'other'"),
        (["set", "50/month", "--account", "other"], "no account 'other'"),
        (["set", "50/month", "--tag", "a b"], "subject"),
        (["remove", "year", "--tag", "red"], "day, week, month, total"),
    ],
)
def test_what_is_refused(headgate: Commands, command: list[str], told: str) -> None:
    ran = headgate("budget", *command)
    assert ran.status == 2
    assert told in ran.err
    assert headgate.good("budget", "list", "--json").json == []
