"""The load generator: lanes, each one connection that asks, checks the answer (checking.py), and asks again.

An answer that is not what the script says counts as a failure and never as an answer. The generator runs in the
harness's own process on raw protocols, so that the clock is read where the bytes arrive.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from time import perf_counter_ns
from typing import cast

import httptools

from bench import script
from bench.apis.base import MARK
from bench.checking import Check, check_of
from bench.script import Script

_PATIENCE_SECONDS = 60.0
"""For the last answers of a load."""


@dataclass(slots=True)
class Tally:
    """What the lanes of one load have seen. Times are nanoseconds from the request's write."""

    latencies: list[int] = field(default_factory=list)
    """To the answer's last byte, one for each right answer."""
    first_bytes: list[int] = field(default_factory=list)
    """To the body's first byte, one for each right answer."""
    body_bytes: int = 0
    """Body bytes received so far, transfer coding undone."""
    chunks: int = 0
    """Content frames received so far, where they are counted."""
    right: int = 0
    """Right answers, those of the warm-up too."""
    failures: int = 0
    """Wrong, refused and broken answers, those of the warm-up too."""
    offsets: dict["Lane", list[int]] = field(default_factory=dict)
    """Of each timed lane, when its content frames came: less what their places in the stream allow them."""

    def restart(self) -> None:
        """The warm-up is over: forget its times and bytes."""
        del self.latencies[:], self.first_bytes[:]
        self.offsets.clear()
        self.body_bytes = self.chunks = 0

    def snapshot(self) -> "Tally":
        """What has been seen so far, apart from what the lanes go on to see."""
        offsets = {lane: times[:] for lane, times in self.offsets.items()}
        return replace(self, latencies=self.latencies[:], first_bytes=self.first_bytes[:], offsets=offsets)

    def lateness(self) -> list[int]:
        """By how much each timed frame came later than the promptest one of its stream."""
        return [time - min(times) for times in self.offsets.values() for time in times]


class Lane(asyncio.Protocol):
    """One connection of the load. After a failure it closes and asks no more.

    Args:
        request: what it writes.
        check: judges each answer.
        tally: where it counts.
        pause: gives the seconds to wait after an answer before it asks again; None to ask but once.
        load: what it is a part of.
    """

    def __init__(
        self, request: bytes, check: Check, tally: Tally, pause: Callable[[], float] | None, load: "Load"
    ) -> None:
        self._request = request
        self._check = check
        self._tally = tally
        self._pause = pause
        self._counted, self._step_ns = load.counted, load.step_ns
        if self._step_ns:
            self._frame_size, self._opening_size = load.script.frame_size, len(load.script.wire.opening())
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._asked = self._first = 0
        self._asking = False
        self.idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the lane has had its last answer, or failed."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when its connection is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, not a subclass

    def ask(self) -> None:
        """Send the request."""
        if self.idle.done():
            return
        self._received, self._asking = 0, True
        self._check.begin()
        self._asked = perf_counter_ns()
        self._transport.write(self._request)

    def finish(self) -> None:
        """Ask no more; the answer that is under way is still awaited."""
        self._pause = None
        if not self._asking:
            self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that goes while an answer is owed is a failure."""
        del exc
        if self._asking:
            self._fail()
        self._rest()
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail()

    def on_body(self, piece: bytes) -> None:
        """Show it to who judges."""
        if self._received == 0:
            self._first = perf_counter_ns()
        self._check.feed(piece)
        self._received += len(piece)
        self._tally.body_bytes += len(piece)
        if self._counted:
            self._tally.chunks += piece.count(MARK)
        if self._step_ns:
            self._time()

    def _time(self) -> None:
        """When the frame came that is whole now: the n-th may come n steps after the first."""
        index = (self._received - self._opening_size) // self._frame_size
        self._tally.offsets.setdefault(self, []).append(perf_counter_ns() - index * self._step_ns)

    def on_message_complete(self) -> None:
        """Count the answer, and ask again."""
        if not (self._check.right() and self._parser.get_status_code() == 200):
            self._fail()
            return
        self._asking = False
        self._tally.right += 1
        self._tally.latencies.append(perf_counter_ns() - self._asked)
        self._tally.first_bytes.append(self._first - self._asked)
        if self._pause is None:
            self._rest()
        elif wait := self._pause():
            asyncio.get_running_loop().call_later(wait, self.ask)
        else:
            self.ask()

    def _fail(self) -> None:
        if self.idle.done():
            return
        self._asking = False
        self._tally.failures += 1
        self._transport.abort()
        self._rest()

    def _rest(self) -> None:
        if not self.idle.done():
            self.idle.set_result(None)

    def close(self) -> None:
        """Close the connection."""
        self._asking = False
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Load:
    """What a load asks, on how many connections.

    Args:
        script: what every request asks for.
        lanes: connections.
        spread: seconds over which the lanes begin, so that they do not march in step.
        think: upper bound in seconds of a random pause after each answer; None to ask but once on each lane.
        counted: content frames are counted as they come.
        timed: every content frame is timed.
    """

    script: Script
    lanes: int
    spread: float = 0.0
    think: float | None = 0.0
    counted: bool = False
    timed: bool = False

    @property
    def step_ns(self) -> int:
        """What lies between two content frames that are to be timed; 0 where none is."""
        return 1_000_000_000 // self.script.rate if self.timed else 0

    def pauses(self) -> Callable[[], float] | None:
        """The pauses, the same ones in every run."""
        if not self.think:
            return None if self.think is None else lambda: 0.0
        think, random = self.think, Random(self.lanes)
        return lambda: random.random() * think


@dataclass(frozen=True, slots=True)
class Door:
    """Where a load knocks: `host`:`port`.

    Args:
        port: of the host.
        exact: answers are compared byte for byte; else for their meaning, as this gateway writes them anew.
        headers: header lines that this gateway needs beside the usual ones, for an API by its name.
        host: an address.
    """

    port: int
    exact: bool = True
    headers: Callable[[str], bytes] = lambda api: b""  # noqa: ARG005
    host: str = "127.0.0.1"


@asynccontextmanager
async def running(door: Door, load: Load) -> AsyncIterator[Tally]:
    """The load, all lanes asking; at the end every lane's last answer is awaited.

    Raises OSError if a connection is refused, TimeoutError if an answer is a minute late.
    """
    loop = asyncio.get_running_loop()
    tally, pause = Tally(), load.pauses()
    request = script.request(load.script, f"{door.host}:{door.port}", door.headers(load.script.api))
    lanes: list[Lane] = []
    try:
        for _ in range(load.lanes):
            check = check_of(load.script, exact=door.exact)
            _, lane = await loop.create_connection(
                lambda check=check: Lane(request, check, tally, pause, load),  # type: ignore[misc]
                door.host, door.port,
            )  # fmt: skip
            lanes.append(lane)
        for index, lane in enumerate(lanes):
            loop.call_later(load.spread * index / load.lanes, lane.ask)
        await asyncio.sleep(load.spread)
        yield tally
        if load.think is not None:
            for lane in lanes:
                lane.finish()
        await asyncio.wait_for(asyncio.gather(*(lane.idle for lane in lanes)), _PATIENCE_SECONDS)
    finally:
        for lane in lanes:
            lane.close()
        await asyncio.gather(*(lane.closed for lane in lanes))
