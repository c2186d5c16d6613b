from headgate.workers.pauses import LONGEST, Pauses


def test_the_first_death_costs_nothing_and_each_next_one_twice_as_long() -> None:
    pauses = Pauses()
    assert [pauses.after(1) for _ in range(9)] == [0, 1, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]


def test_one_that_had_lived_begins_anew() -> None:
    pauses = Pauses()
    assert [pauses.after(seconds) for seconds in (1, 1, 1, 60, 1)] == [0, 1, 2, 0, 1]
