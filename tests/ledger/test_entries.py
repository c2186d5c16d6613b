import pytest

from headgate.ledger.entries import Account, AccountKind, Outcome, Result

PREPAID, POSTPAID = AccountKind.PREPAID, AccountKind.POSTPAID


def an_account(kind: AccountKind, limit: int | None, posted: int, held: int) -> Account:
    return Account("a", kind, limit, posted, held)


@pytest.mark.parametrize(
    ("account", "amount", "room"),
    [
        (an_account(PREPAID, None, 100, 0), 100, True),
        (an_account(PREPAID, None, 100, 0), 101, False),
        (an_account(PREPAID, None, 100, 30), 70, True),
        (an_account(PREPAID, None, 100, 30), 71, False),
        (an_account(PREPAID, None, 0, 0), 0, True),
        (an_account(PREPAID, None, -1, 0), 0, False),
        (an_account(PREPAID, 1_000, 100, 0), 101, False),
        (an_account(POSTPAID, None, -(10**15), 10**15), 10**15, True),
        (an_account(POSTPAID, 0, 0, 0), 1, False),
        (an_account(POSTPAID, 50, 0, 0), 50, True),
        (an_account(POSTPAID, 50, 0, 0), 51, False),
        (an_account(POSTPAID, 50, -20, 10), 20, True),
        (an_account(POSTPAID, 50, -20, 10), 21, False),
        (an_account(POSTPAID, 50, 100, 0), 150, True),
    ],
)
def test_room_for_a_hold(account: Account, amount: int, room: bool) -> None:
    assert account.room_for(amount) is room


def test_available_is_what_is_not_held() -> None:
    assert Account("a", PREPAID, None, 100, 30).available_nanos == 70


def test_what_stands() -> None:
    standing = {result for result in Result if Outcome(result).stands}
    assert standing == {Result.DONE, Result.EXISTS, Result.UNCHANGED}
