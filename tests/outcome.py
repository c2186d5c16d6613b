"""What a run of the tests comes to, whether one process ran them or several: it is read off their reports."""

from collections import Counter
from collections.abc import Collection

import pytest

from tests.conformance import NAMED, is_whole, left_out


class Outcome:
    """Kept where the reports of all tests arrive: in the only process, or in the one that heads the workers."""

    def __init__(self, ignored: Collection[str] = ()) -> None:
        """`ignored` are the folders of tests whose files are no part of a whole run."""
        self._ignored = ignored
        self.selected: set[str] = set()
        self.deselected = False
        """Whether an option left out any."""
        self._ran: set[str] = set()
        self._replayed: Counter[str] = Counter()
        self._right: Counter[str] = Counter()

    def heard(self, report: pytest.TestReport) -> None:
        """A test was executed, passed or failed, unless it was skipped; it may have replayed a recorded response."""
        if report.when != "call" or report.skipped:
            return
        self._ran.add(report.nodeid)
        for name, value in report.user_properties:
            if name == "replayed":
                self._replayed[str(value)] += 1
                self._right[str(value)] += report.passed

    @property
    def is_whole(self) -> bool:
        """Whether the whole suite was to run."""
        return not self.deselected and is_whole(self.selected, self._ignored)

    def left_out(self) -> list[str]:
        """The tests that docs/conformance.md names and that were selected, but did not run."""
        return left_out(NAMED, self._ran, None if self.is_whole else self.selected)

    def replayed(self) -> dict[str, tuple[int, int]]:
        """By dialect, how many of the recorded responses came through the gateway right, of how many."""
        return {dialect: (self._right[dialect], total) for dialect, total in sorted(self._replayed.items())}
