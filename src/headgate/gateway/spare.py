"""Whether an attempt's failure is told to the client or another target is tried instead, and what it says of health."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from headgate.gateway.kept import Kept
from headgate.gateway.request import Opening
from headgate.gateway.upstream import Head
from headgate.records import Ending
from headgate.routing import signals
from headgate.routing.aliases import Target
from headgate.routing.candidates import Candidate, Candidates

_FAILED = frozenset({Ending.UPSTREAM_CUT, Ending.UPSTREAM_ERROR})
_WELL = frozenset({Ending.COMPLETE, Ending.INCOMPLETE, Ending.REFUSED})
"""Unless it failed: what is refused for the request's own fault was answered."""


class Spare:
    """What may come after one attempt at one target.

    The attempt runs within it, from before its hold is placed: so of many requests at once, one is a probe.
    """

    def __init__(
        self, opening: Opening, candidates: Candidates, target: Target, wall_ns: Callable[[], int], *, last_word: bool
    ) -> None:
        """`last_word`: no provider has answered yet, so whatever comes of the last attempt is what the client gets."""
        self._candidates = candidates
        self._health = candidates.health
        self._target = target
        self._now = opening.monotonic_ns
        self._wall_ns = wall_ns
        self._last_word = last_word
        self._began_ns = 0
        self._failed = False
        self._well = False
        self.hold_back_seconds = candidates.alias.hold_back_seconds
        self.following: Candidate | None = None
        """Whose turn it is if this attempt is not told."""
        self.kept: Kept | None = None
        """This one's answer."""

    def __enter__(self) -> Self:
        self._began_ns = self._now()
        self._candidates.take(self._target, self._began_ns)
        self._health.tried(self._target.key, self._began_ns)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._health.over(self._target.key, self._now(), well=self._well)

    def heard(self, head: Head) -> bool:
        """An answer begins. True: it is not to be passed on, for another target is tried."""
        key, now = self._target.key, self._now()
        own = not self._target.deployment.client_keys
        failed = signals.is_failure(head.status, own_credential=own)
        wait = signals.retry_after(head.headers, self._wall_ns()) if failed else None
        if wait is None and own:
            wait = signals.spent(head.headers, self._wall_ns())
        if not failed:
            self._health.answered(key, now, now - self._began_ns)
        if wait is not None:
            self._failed = failed
            self._health.limited(key, now, wait)
        elif failed:
            self._note_failure()
        if not signals.helps(head.status, own_credential=own):
            return False
        self.following = self._candidates.next(self._now())
        return self.following is not None

    def broke(self) -> bool:
        """No answer came, or it broke off before any of it was passed on. True: something better can be told."""
        self._note_failure()
        self.following = self._candidates.next(self._now())
        return self.following is not None or not self._last_word

    def ended(self, ending: Ending) -> None:
        """How the attempt ended, for the target's health."""
        if ending in _FAILED:
            self._note_failure()
        self._well = not self._failed and ending in _WELL

    def _note_failure(self) -> None:
        """Once for each attempt."""
        if not self._failed:
            self._failed = True
            self._health.failed(self._target.key, self._now())
