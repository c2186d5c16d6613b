"""What a series holds is in sums_conformance.py, against sums of the records themselves; here is how it is laid out."""

from headgate.stores.series import SeriesOf, by_step, laid_out, ranked
from headgate.stores.spans import Step
from headgate.stores.summary import GroupBy, UsageRow

HOUR = Step.HOUR.ns


def test_groups_are_ranked_by_cost_then_exchanges_then_name() -> None:
    rows = [
        UsageRow(None, 5), UsageRow("b", 5), UsageRow("a", 5), UsageRow("c", 1, cost_nanos=1),
        UsageRow("d", 2, cost_nanos=1), UsageRow("e", 9),
    ]  # fmt: skip
    assert [row.group for row in ranked(rows)] == ["d", "c", "e", "a", "b", None]


def test_a_span_is_widened_to_whole_steps() -> None:
    of = SeriesOf(Step.HOUR, HOUR + 1, 2 * HOUR + 1)
    assert (of.first_ns, of.end_ns) == (HOUR, 3 * HOUR)
    assert SeriesOf(Step.HOUR, HOUR, 2 * HOUR).end_ns == 2 * HOUR


def test_the_others_are_what_is_left_and_unknown_only_where_the_total_is() -> None:
    total = UsageRow(None, 5, input_tokens=7, output_tokens=3)
    shown = UsageRow("a", 2, input_tokens=7, output_tokens=None)
    of = SeriesOf(Step.HOUR, 0, 2 * HOUR, GroupBy.MODEL)
    found = laid_out(of, {0: total, HOUR: shown}, ["a"], {0: {"a": shown}, HOUR: {"a": shown}}, others=True)
    own, others = found.groups
    assert (own.name, own.rows) == ("a", (shown, shown))
    assert (others.others, others.rows) == (True, (UsageRow(None, 3, input_tokens=0, output_tokens=3), None))


def test_where_nothing_happened_there_is_no_row() -> None:
    found = laid_out(SeriesOf(Step.HOUR, 0, 2 * HOUR), {0: UsageRow(None, input_tokens=0)}, [], {}, others=False)
    assert [group.rows for group in found.groups] == [(None, None)]


def test_rows_of_a_step_and_group_are_added_up() -> None:
    cells = [(0, UsageRow("a", 1)), (HOUR, UsageRow("a", 2)), (0, UsageRow("a", 4)), (0, UsageRow(None, 8))]
    assert by_step(cells) == {
        0: {"a": UsageRow("a", 5), None: UsageRow(None, 8)}, HOUR: {"a": UsageRow("a", 2)},
    }  # fmt: skip
