"""What telling the world outside costs."""

from bench import observers


def test_each_observer_is_measured() -> None:
    names = [name for name, micros in observers.rows(3) if micros > 0]
    assert len(names) == len(set(names)) == 9
