"""What they add up to is in sums_conformance.py; here is the memory of what is gone."""

from headgate.stores.memory_sums import Sums
from headgate.stores.series import SeriesOf
from headgate.stores.spans import Step
from headgate.stores.summary import GroupBy, summarise
from tests.stores.examples import NOON, a_record


def test_a_record_counts_once_whether_it_is_there_or_gone() -> None:
    records = [a_record(f"ex_{n}", started_at_ns=NOON + n) for n in range(4)]
    sums = Sums()
    sums.roll(records[:2])
    for by in GroupBy:
        assert sums.usage(records[2:], None, None, by) == summarise(records, by)
    (group,) = sums.series(records[2:], SeriesOf(Step.DAY, NOON, NOON + 1)).groups
    assert [row and row.exchanges for row in group.rows] == [4]


def test_bounds_among_what_is_gone_are_those_of_their_minute() -> None:
    sums = Sums()
    sums.roll([a_record(started_at_ns=NOON + 5)])
    assert [row.exchanges for row in sums.usage([], NOON + 6, None, GroupBy.KEY)] == [1]
    assert sums.usage([], NOON + Step.MINUTE.ns, None, GroupBy.KEY) == []
