import pytest

from tests.cli.commands import Commands


@pytest.fixture(autouse=True)
def _account(headgate: Commands) -> None:
    headgate.good("account", "open", "acme")


def balance(headgate: Commands) -> str:
    return str(headgate.good("account", "show", "acme", "--json").json["posted_usd"])


def test_a_payment(headgate: Commands) -> None:
    told = headgate.good("credit", "add", "acme", "12.50", "--note", "invoice 7").out
    assert told.startswith("$12.50 to acme, as top_up-")
    assert "Balance $12.50, available $12.50." in told
    assert balance(headgate) == "12.50"


def test_a_payment_with_an_id_counts_once(headgate: Commands) -> None:
    assert "as inv-7" in headgate.good("credit", "add", "acme", "10", "--id", "inv-7").out
    assert "Nothing was changed" in headgate.good("credit", "add", "acme", "10", "--id", "inv-7").out
    assert headgate.good("credit", "add", "acme", "10", "--id", "inv-7", "--json").json["repeated"] is True
    assert "Nothing was changed" in headgate.refused("credit", "add", "acme", "11", "--id", "inv-7")
    assert balance(headgate) == "10.00"


@pytest.mark.parametrize(
    ("amount", "after"), [("-0.25", "-0.25"), ("-1", "-1.00"), ("+0.25", "0.25"), ("0.000000001", "0.000000001")]
)
def test_a_correction_goes_either_way(headgate: Commands, amount: str, after: str) -> None:
    headgate.good("credit", "correct", "acme", amount, "--note", "a slip")
    assert balance(headgate) == after


def test_a_correction_says_why(headgate: Commands) -> None:
    assert headgate("credit", "correct", "acme", "1").status == 2
    assert "note" in headgate.refused("credit", "correct", "acme", "1", "--note", "")
    assert balance(headgate) == "0.00"


@pytest.mark.parametrize("amount", ["0", "ten", "1e3", "0.0000000001", "1.2.3", ""])
def test_what_is_no_amount(headgate: Commands, amount: str) -> None:
    headgate.refused("credit", "add", "acme", amount)
    assert balance(headgate) == "0.00"


def test_nobody_cannot_be_paid(headgate: Commands) -> None:
    for command in (("add", "nobody", "1"), ("correct", "nobody", "1", "--note", "x"), ("history", "nobody")):
        assert "no account 'nobody'" in headgate.refused("credit", *command)


def test_history_is_the_ledgers_newest_first(headgate: Commands) -> None:
    assert "no entries yet" in headgate.good("credit", "history", "acme").out
    headgate.good("credit", "add", "acme", "10", "--note", "invoice 7")
    headgate.good("credit", "correct", "acme", "-1", "--note", "fee", "--id", "fee-1")
    told = headgate.good("credit", "history", "acme").words
    assert told.index("correction -$1.00 $0.00 fee-1 fee") < told.index("top_up $10.00 $0.00")
    entries = headgate.good("credit", "history", "acme", "--json").json
    assert [(entry["posted_usd"], entry["note"]) for entry in entries] == [("-1.00", "fee"), ("10.00", "invoice 7")]
    assert len(headgate.good("credit", "history", "acme", "--limit", "1", "--json").json) == 1
