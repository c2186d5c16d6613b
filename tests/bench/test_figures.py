"""The statistics over rounds."""

import pytest

from bench.figures import FIGURES, Figure, Spread, percentile, ratios, shown, spread


class TestFigures:
    @pytest.mark.parametrize(
        ("values", "percent", "expected"),
        [
            ([], 50, None),
            ([7], 99, 7),
            ([3, 1, 2], 50, 2),
            ([4, 3, 2, 1], 50, 2),
            (range(1, 101), 99, 99),
            ([1, 2], 0, 1),
        ],
    )
    def test_percentile_is_the_nearest_rank(self, values: list[int], percent: float, expected: int | None) -> None:
        assert percentile(values, percent) == expected

    def test_spread_is_of_the_rounds_that_gave_a_value(self) -> None:
        assert spread([3.0, None, 1.0, 8.0]) == Spread(3.0, 1.0, 8.0)
        assert spread([None]) is None

    def test_ratios_pair_the_rounds_and_divide_by_nothing_doubtful(self) -> None:
        assert ratios([6.0, 9.0, 5.0, None, 4.0], [2.0, 3.0, 0.0, 1.0, -1.0]) == [3.0, 3.0, None, None, None]

    def test_an_added_figure_is_over_the_same_rounds_direct(self) -> None:
        values: dict[str, list[float | None]] = {"direct": [10.0, 20.0], "nginx": [11.0, 25.0], "late": [None, 21.0]}
        added = Figure("x", "x", over_direct=True)
        assert shown(added, values, "nginx") == [1.0, 5.0]
        assert shown(added, values, "late") == [None, 1.0]
        assert shown(added, values, "direct") == [10.0, 20.0]
        assert shown(Figure("x", "x"), values, "nginx") == [11.0, 25.0]

    def test_every_figure_has_a_name_of_its_own(self) -> None:
        assert len({figure.key for figure in FIGURES}) == len({figure.label for figure in FIGURES}) == len(FIGURES)
