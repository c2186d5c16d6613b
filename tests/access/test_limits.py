import pytest

from headgate.access.limits import Limits
from headgate.ledger.commands import Capture, OpenAccount, Place, Void
from headgate.ledger.entries import AccountKind, Cap, Measure, Result
from headgate.ledger.machine import Books

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
TODAY = 20_000 * DAY
"""The beginning of a day: 2024-10-04."""


def test_each_limit_is_a_cap_with_a_window_of_its_own() -> None:
    now = TODAY + 61 * SECOND
    minute = TODAY // MINUTE + 1
    assert list(Limits(1, 2, 3, 4, 5).caps("k", now, 70)) == [
        Cap(f"rpm:k@{minute}", Measure.TIMES, 1, 1, TODAY + 2 * MINUTE),
        Cap("rpd:k@20000", Measure.TIMES, 2, 1, TODAY + DAY),
        Cap(f"tpm:k@{minute}", Measure.QUANTITY, 3, 70, TODAY + 2 * MINUTE),
        Cap("tpd:k@20000", Measure.QUANTITY, 4, 70, TODAY + DAY),
        Cap("concurrent:k", Measure.PRESENCE, 5, 1),
    ]


@pytest.mark.parametrize(
    ("limits", "kinds"),
    [
        (Limits(), []),
        (Limits(requests_per_minute=1), ["rpm"]),
        (Limits(requests_per_day=1), ["rpd"]),
        (Limits(tokens_per_minute=1), ["tpm"]),
        (Limits(tokens_per_day=1), ["tpd"]),
        (Limits(concurrent=1), ["concurrent"]),
        (Limits(requests_per_minute=0, concurrent=0), ["rpm", "concurrent"]),  # 0 is a limit, and None is none
    ],
)
def test_only_what_is_limited_is_counted(limits: Limits, kinds: list[str]) -> None:
    assert [cap.cap_id.partition(":")[0] for cap in limits.caps("k", TODAY, 1)] == kinds


@pytest.mark.parametrize(("limits", "span"), [(Limits(requests_per_minute=1), MINUTE), (Limits(tokens_per_day=1), DAY)])
def test_a_window_holds_its_first_instant_and_not_that_of_the_next(limits: Limits, span: int) -> None:
    (first,) = limits.caps("k", TODAY, 1)
    (last,) = limits.caps("k", TODAY + span - 1, 1)
    (following,) = limits.caps("k", TODAY + span, 1)
    (before,) = limits.caps("k", TODAY - 1, 1)
    assert first == last
    assert first.ends_at_ns == TODAY + span
    assert before.ends_at_ns == TODAY
    assert len({first.cap_id, following.cap_id, before.cap_id}) == 3


class Key:
    """A key with limits, at a ledger without any store."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._placed = limits, 0
        self.books = Books()
        self.books.apply(OpenAccount("a", AccountKind.POSTPAID, 0))

    def ask(self, now_ns: int, tokens: int = 1) -> str:
        """Place a hold and return its id; "" if a limit is reached."""
        self._placed += 1
        place = Place(f"h{self._placed}", "a", 0, now_ns, "n", caps=tuple(self._limits.caps("k", now_ns, tokens)))
        result = self.books.apply(place).result
        assert result in {Result.DONE, Result.OVER_CAP}
        return place.hold_id if result is Result.DONE else ""

    def end(self, hold_id: str, tokens: int) -> None:
        assert self.books.apply(Capture(hold_id, "a", 0, 0, quantity=tokens)).stands

    def give_up(self, hold_id: str) -> None:
        assert self.books.apply(Void(hold_id, "a", 0)).stands


def test_so_many_requests_in_a_minute_and_then_again_in_the_next() -> None:
    key = Key(Limits(requests_per_minute=2))
    assert [bool(key.ask(now)) for now in (TODAY, TODAY + MINUTE - 1, TODAY + MINUTE - 1)] == [True, True, False]
    assert [bool(key.ask(now)) for now in (TODAY + MINUTE,) * 3] == [True, True, False]


def test_a_request_that_was_given_back_counts_as_one_all_the_same() -> None:
    key = Key(Limits(requests_per_minute=1))
    key.give_up(key.ask(TODAY))
    assert not key.ask(TODAY)


def test_tokens_are_set_aside_and_corrected_to_what_was_used() -> None:
    key = Key(Limits(tokens_per_minute=100))
    first = key.ask(TODAY, 80)
    assert not key.ask(TODAY, 30), "80 are set aside"
    key.end(first, 70)
    second = key.ask(TODAY, 30)
    assert second, "70 were used"
    key.give_up(second)
    assert key.ask(TODAY, 30), "and none of what was given back"


def test_a_request_larger_than_the_limit_never_passes() -> None:
    assert not Key(Limits(tokens_per_minute=100)).ask(TODAY, 101)


def test_at_once_means_until_one_ends() -> None:
    key = Key(Limits(concurrent=2))
    first, second = key.ask(TODAY), key.ask(TODAY + DAY)
    assert first
    assert second
    assert not key.ask(TODAY + 2 * DAY), "no window ends it"
    key.end(first, 1)
    assert key.ask(TODAY)


def test_a_limit_of_nothing_lets_nothing_pass() -> None:
    assert not Key(Limits(requests_per_day=0)).ask(TODAY)
