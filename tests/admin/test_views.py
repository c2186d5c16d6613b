import msgspec
import pytest
from msgspec.structs import fields

from headgate.access.limits import Limits
from headgate.admin import views
from headgate.ledger.entries import Account, AccountKind, Entry, EntryKind, Hold

VIEWS = [view for name, view in vars(views).items() if name.endswith("View") or name == "CreatedKey"]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_each_amount_stands_there_twice(view: type[msgspec.Struct]) -> None:
    names = view.__struct_fields__
    assert [n for n in names if n.endswith("_nanos") and n.replace("_nanos", "_usd") not in names] == []
    assert [n for n in names if n.endswith("_usd") and n.replace("_usd", "_nanos") not in names] == []


def test_limits_are_those_of_the_gateway() -> None:
    names = tuple(field.name for field in fields(Limits))
    assert views.LimitsView.__struct_fields__ == names


def test_an_account() -> None:
    account = Account("acme", AccountKind.POSTPAID, 5_000_000_000, -1, 1_500_000_000)
    assert msgspec.to_builtins(views.account_view(account)) == {
        "account": "acme", "kind": "postpaid", "closed": False,
        "limit_nanos": 5_000_000_000, "limit_usd": "5.00",
        "posted_nanos": -1, "posted_usd": "-0.000000001",
        "held_nanos": 1_500_000_000, "held_usd": "1.50",
        "available_nanos": -1_500_000_001, "available_usd": "-1.500000001",
    }  # fmt: skip


def test_an_entry_and_a_hold() -> None:
    entry = Entry("e", "acme", EntryKind.PLACE, 0, 2_000_000_000, 1_500, "ex_1")
    view = msgspec.to_builtins(views.entry_view((7, entry)))
    assert (view["serial"], view["held_usd"], view["at"]) == (7, "2.00", "1970-01-01T00:00:00.000001Z")
    hold = views.hold_view(Hold("ex_1", "acme", 5, 0, "node", sent=True, minimum_nanos=1))
    assert (hold.amount_usd, hold.checkpoint_usd, hold.resolved_usd) == ("0.000000005", None, None)


def test_a_time_is_told_to_the_microsecond() -> None:
    assert views.moment(1_999).isoformat() == "1970-01-01T00:00:00.000001+00:00"
