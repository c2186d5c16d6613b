"""How many of the corpus' cases came through the gateway right, by dialect."""

from collections import Counter


class Tally:
    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.right: Counter[str] = Counter()

    def counts(self) -> dict[str, tuple[int, int]]:
        return {dialect: (self.right[dialect], self.total[dialect]) for dialect in self.total}


TALLY = Tally()
"""One per test run; tests/e2e/conftest.py tells it at the end."""
