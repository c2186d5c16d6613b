"""How long to wait before a worker that died is started again: pure."""

LONGEST = 30.0
_LIVED = 60.0
"""Seconds after which a worker counts as one that can live: what it dies of then is news."""


class Pauses:
    """Of one place: none after the first death, then a second, twice as long each time, up to half a minute."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, lived_seconds: float) -> float:
        """A worker died after so many seconds; the seconds until the next one."""
        self._deaths = 1 if lived_seconds >= _LIVED else self._deaths + 1
        return 0.0 if self._deaths == 1 else min(LONGEST, 2.0 ** (self._deaths - 2))
