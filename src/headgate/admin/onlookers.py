"""Onlookers: those who have the live view open, and what all of them are shown.

A snapshot is taken once a second for all, and only while someone looks on. Each onlooker has room for the newest
snapshot and for a second's ended exchanges, and no more: one who reads slowly misses what came in between, and neither
memory nor anybody's stream pays for him.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from headgate.admin.records import record_view
from headgate.admin.snapshot import LiveView
from headgate.errors import Busy
from headgate.records import Record

_log = logging.getLogger("headgate.admin")

MOST_ONLOOKERS = 50
SECOND = 1.0
"""Between two snapshots."""
TOLD_PER_SECOND = 50
"""Ended exchanges that are told one by one; of the others only how many there were."""
_GATHERED_NS = 5_000_000_000
"""For so long what ends is gathered for another process that asks no more."""
STALLED = 60
"""Snapshots that an onlooker may leave untaken before his place is another's."""
_RETRY = b"retry: 2000\n\n"
"""Milliseconds after which a browser comes back (WHATWG HTML, server-sent events)."""


@dataclass(slots=True)
class _Gathering:
    """What has ended, for those who look on at another process."""

    until_ns: int = 0
    ended: list[bytes] = field(default_factory=list)
    skipped: int = 0


class Onlookers:
    """Shows what is under way to whoever looks on. An Observer of ended exchanges."""

    def __init__(
        self, take: Callable[[], Awaitable[LiveView]], clock_ns: Callable[[], int], *, second: float = SECOND
    ) -> None:
        """`take` takes a snapshot; `second` is how often."""
        self._take = take
        self._clock_ns = clock_ns
        self._second = second
        self._all: set[Onlooker] = set()
        self._latest = b""
        self._told = 0
        self._skipped = 0
        self._elsewhere: dict[str, _Gathering] = {}
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._all)

    def saw(self, record: Record) -> None:
        """An exchange is over: tell it to whoever looks on."""
        if not self._all and not self._elsewhere:
            return
        ended = msgspec.json.encode(record_view(record))
        self._tell(ended)
        for asker, gathering in list(self._elsewhere.items()):
            if self._clock_ns() > gathering.until_ns:
                del self._elsewhere[asker]
            elif len(gathering.ended) < TOLD_PER_SECOND:
                gathering.ended.append(ended)
            else:
                gathering.skipped += 1

    def gathered(self, asker: str) -> tuple[list[bytes], int]:
        """The records that ended since another process asked this, as JSON, and how many more; it will ask again."""
        found = self._elsewhere.get(asker, _Gathering())
        self._elsewhere[asker] = _Gathering(self._clock_ns() + _GATHERED_NS)
        return found.ended, found.skipped

    def pass_on(self, ended: Iterable[bytes], skipped: int) -> None:
        """Tell of records that ended in another process."""
        for each in ended:
            self._tell(each)
        self._skipped += skipped

    def _tell(self, ended: bytes) -> None:
        if not self._all:
            return
        if self._told >= TOLD_PER_SECOND:
            self._skipped += 1
            return
        self._told += 1
        event = _event(b"ended", ended)
        for onlooker in self._all:
            onlooker.tell(event)

    def join(self, until_ns: int | None = None) -> "Onlooker":
        """Someone more looks on, until a moment since the epoch at most. Raises Busy if that is one too many.

        Whoever joins has to be closed.
        """
        if self._closed:
            raise Busy("The gateway is stopping.")
        if len(self._all) >= MOST_ONLOOKERS:
            raise Busy(f"{MOST_ONLOOKERS} onlookers have the live view of this gateway open, which is its limit.")
        onlooker = Onlooker(self._all.discard, until_ns, self._latest)
        self._all.add(onlooker)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.get_running_loop().create_task(self._watching())
            self._watch.add_done_callback(_say_why)
        return onlooker

    def send_away(self) -> None:
        """Send everybody away: whoever may still look on comes back."""
        for onlooker in list(self._all):
            onlooker.close()

    def close(self) -> None:
        """Send everybody away, for good: the gateway stops, and does not wait for its watchers."""
        self._closed = True
        self.send_away()
        if self._watch is not None:
            self._watch.cancel()

    async def _watching(self) -> None:
        """While someone looks on: a snapshot a second."""
        try:
            while self._all:
                self._latest = _event(b"live", msgspec.json.encode(await self._take()))
                skipped, self._told, self._skipped, now_ns = self._skipped, 0, 0, self._clock_ns()
                for onlooker in list(self._all):
                    onlooker.show(self._latest, skipped, now_ns)
                await asyncio.sleep(self._second)
        finally:  # after a fault nobody shall look at what stands still: they come back, and it begins anew
            self._latest = b""
            self.send_away()


class Onlooker:
    """One who looks on: what is new for him, as server-sent events. Ends when he is closed or his time is over."""

    def __init__(self, leave: Callable[["Onlooker"], None], until_ns: int | None, snapshot: bytes) -> None:
        """`leave` is told when he does; `snapshot` is what the others see already."""
        self._leave = leave
        self._until_ns = until_ns
        self._snapshot = _RETRY + snapshot
        self._ended: deque[bytes] = deque(maxlen=TOLD_PER_SECOND)
        self._missed = 0
        self._untaken = 0
        self._news = asyncio.Event()
        self._news.set()
        self._closed = False
        self._on_close: Callable[[], object] = _nothing

    def show(self, snapshot: bytes, skipped: int, now_ns: int) -> None:
        """The newest snapshot, in the place of one that he has not taken yet; so many ended that he was not told of."""
        first = self._snapshot.startswith(_RETRY)
        self._snapshot = _RETRY + snapshot if first else snapshot
        self._missed += skipped
        self._untaken += 1
        self._news.set()
        if self._untaken > STALLED or (self._until_ns is not None and now_ns >= self._until_ns):
            self.close()

    def tell(self, ended: bytes) -> None:
        """An exchange that is over; the oldest of too many is only counted."""
        self._missed += len(self._ended) == TOLD_PER_SECOND
        self._ended.append(ended)
        self._news.set()

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call back when he is closed; at once if he is."""
        self._on_close = callback
        if self._closed:
            callback()

    def close(self) -> None:
        """Look on no more."""
        if not self._closed:
            self._closed = True
            self._news.set()
            self._leave(self)
            self._on_close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """All that is new since the last time."""
        await self._news.wait()
        if self._closed:
            raise StopAsyncIteration
        self._news.clear()
        missed = [_event(b"skipped", b'{"count":%d}' % self._missed)] if self._missed else []
        news = b"".join([self._snapshot, *missed, *self._ended])
        self._ended.clear()
        self._snapshot, self._missed, self._untaken = b"", 0, 0
        return news


def _nothing() -> None:
    pass


def _event(name: bytes, data: bytes) -> bytes:
    """A server-sent event; JSON has no line feeds of its own."""
    return b"event: %b\ndata: %b\n\n" % (name, data)


def _say_why(watch: "asyncio.Task[None]") -> None:
    error = None if watch.cancelled() else watch.exception()
    if error is not None:
        _log.error("the live view has failed", exc_info=error)
