import os
import subprocess
import sys

import pytest

from headgate.access.virtual import digest_of
from tests.cli.commands import Commands


@pytest.fixture(autouse=True)
def _account(headgate: Commands) -> None:
    headgate.good("account", "open", "acme")


def test_the_key_stands_alone_on_its_line_and_is_not_kept(headgate: Commands) -> None:
    made = headgate.good("key", "create", "k", "--account", "acme")
    key = made.out.removesuffix("\n")
    assert key.startswith("hg-")
    assert "\n" not in key
    assert "shown only now" in made.err
    kept = b"".join(path.read_bytes() for path in headgate.database.parent.iterdir())
    assert key.encode() not in kept
    secret = headgate.database.with_name("headgate.secret").read_bytes()
    assert digest_of(key.encode(), secret) in kept


def test_quiet_is_fit_for_a_shells_variable(headgate: Commands) -> None:
    made = headgate.good("key", "create", "k", "--account", "acme", "--quiet")
    assert (made.err, made.out.count("\n")) == ("", 1)


def test_all_that_can_be_said_about_a_key(headgate: Commands) -> None:
    made = headgate.good(
        "key", "create", "k", "--account", "acme", "--owner", "Ada", "--tag", "red", "--tag", "env=prod",
        "--model", "gpt-*", "--model", "claude-*", "--provider", "openai", "--expires", "2099-01-31",
        "--rpm", "1", "--rpd", "2", "--tpm", "3", "--tpd", "4", "--concurrent", "5",
        "--budget", "50/month", "--budget", "0.5/day", "--json",
    ).json  # fmt: skip
    assert made["key"].startswith(made["hint"])
    assert (made["owner"], made["tags"], made["models"]) == ("Ada", ["red", "env=prod"], ["gpt-*", "claude-*"])
    assert (made["providers"], made["expires_at"]) == (["openai"], "2099-01-31T00:00:00Z")
    assert list(made["limits"].values()) == [1, 2, 3, 4, 5]
    shown = headgate.good("key", "show", "k", "--json").json
    assert shown["key"] == {name: value for name, value in made.items() if name != "key"}
    assert {(b["window"], b["limit_usd"], b["subject"]) for b in shown["budgets"]} == {
        ("month", "50.00", made["key_id"]),
        ("day", "0.50", made["key_id"]),
    }
    told = headgate.good("key", "show", "k").words
    assert "models gpt-*, claude-*" in told
    assert "1 requests per minute, 2 requests per day, 3 tokens per minute" in told
    assert "key k month $50.00 $0.00 $0.00 $50.00" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--account", "nobody"], "no account 'nobody'"),
        (["--account", "acme", "--expires", "soon"], "30d"),
        (["--account", "acme", "--expires", "2020-01-01"], "a time to come"),
        (["--account", "acme", "--budget", "50"], "50/month"),
        (["--account", "acme", "--budget", "50/year"], "day, week, month, total"),
        (["--account", "acme", "--budget", "x/day"], "expected dollars"),
        (["--account", "acme", "--tag", "a b"], "`tags`"),
        (["--account", "acme", "--model", "gpt 4"], "`models`"),
    ],
)
def test_what_is_refused_makes_no_key(headgate: Commands, options: list[str], told: str) -> None:
    assert told in headgate.refused("key", "create", "k", *options)
    assert headgate.good("key", "list", "--json").json == []


def test_list_and_revoke(headgate: Commands) -> None:
    assert "no keys yet" in headgate.good("key", "list").out
    headgate.good("account", "open", "other")
    headgate.good("key", "create", "one", "--account", "acme")
    headgate.good("key", "create", "two", "--account", "other")
    assert [key["name"] for key in headgate.good("key", "list", "--json").json] == ["two", "one"]
    assert [key["name"] for key in headgate.good("key", "list", "--account", "acme", "--json").json] == ["one"]
    assert "Revoked 'one'" in headgate.good("key", "revoke", "one").out
    revoked = headgate.good("key", "revoke", "one", "--json").json
    assert headgate.good("key", "show", revoked["key_id"], "--json").json["key"] == revoked
    rows = [line for line in headgate.good("key", "list").out.splitlines() if "key_" in line]
    assert ["revoked" in row for row in rows] == [False, True]
    assert "state revoked" in headgate.good("key", "show", "one").words


def test_a_name_is_one_keys(headgate: Commands) -> None:
    headgate.good("key", "create", "k", "--account", "acme")
    assert "named 'k' already" in headgate.refused("key", "create", "k", "--account", "acme")
    assert "no key 'other'" in headgate.refused("key", "revoke", "other")


def test_it_runs_from_a_shell(headgate: Commands) -> None:
    command = [sys.executable, "-m", "headgate", "key", "create", "k", "--account", "acme", "-q"]
    ran = subprocess.run(
        [*command, "--db", str(headgate.database)],
        capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert ran.stdout.startswith("hg-")
    assert ran.stderr == ""
