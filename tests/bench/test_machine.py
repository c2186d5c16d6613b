"""Which core is whose."""

import pytest

from bench import machine
from bench.machine import Cores


@pytest.mark.parametrize(
    ("available", "cores"),
    [([5], (5, 5, 5)), ([1, 0], (0, 1, 1)), ([0, 1, 2], (0, 1, 2)), ([7, 6, 5, 4], (4, 5, 6))],
)
def test_the_target_has_a_core_of_its_own_if_there_are_two(available: list[int], cores: tuple[int, int, int]) -> None:
    target, upstream, generator = cores
    assert machine.share_out(available) == Cores(frozenset({target}), frozenset({upstream}), frozenset({generator}))
