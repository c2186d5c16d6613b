"""The attempts of one exchange: money is set aside for one and it goes out, then for the next, until one has answered.

Without an alias there is one attempt, and what it brings goes to the client. With one, an attempt whose failure says
that another target may help is not told to the client, as long as nothing of an answer has gone out and there is
another candidate. Its hold is resolved as its own ending has it, and the next attempt has a hold of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from headgate.errors import HeadgateError
from headgate.gateway.admit import Admission
from headgate.gateway.answering import CLIENT_CLOSED, Answering, Forwarded
from headgate.gateway.appraise import Appraisal, Appraiser
from headgate.gateway.forward import Forwarder
from headgate.gateway.hold import Further, Held, Holds
from headgate.gateway.kept import Kept, KeptCall
from headgate.gateway.legs import Leg, billed
from headgate.gateway.live import Live, Running
from headgate.gateway.locate import Place
from headgate.gateway.record import Reached
from headgate.gateway.request import Client, Opening
from headgate.gateway.settle import Settler
from headgate.gateway.spare import Spare
from headgate.ledger.commands import Checkpoint
from headgate.records import Bill, Ending
from headgate.routing.candidates import Candidates
from headgate.routing.models import Route

_NOTHING = Appraisal(Bill(cost_nanos=0), captures=False)
"""Of an exchange whose attempts are all accounted for."""
_NS = 1_000_000_000


class Parts(Struct, frozen=True):
    """What attempts are made with."""

    holds: Holds
    forwarder: Forwarder
    settler: Settler
    live: Live
    appraiser: Appraiser
    conclude: Callable[[Running, Forwarded], Awaitable[Forwarded]]
    wall_ns: Callable[[], int]


class Attempts(Struct, eq=False):
    """One exchange's attempts, as they are made. What it holds is what the exchange's end has to be told from."""

    parts: Parts
    opening: Opening
    admission: Admission
    planned: Route | Candidates
    route: Route | None = None
    """Of the attempt that is under way, or was last."""
    held: Held | None = None
    """Its hold, as long as it is to be resolved."""
    running: Running | None = None
    """It, once its hold is placed."""
    over: Forwarded | None = None
    """How it ended, where its client has not been told of it."""
    legs: list[Leg] = field(default_factory=list)
    """Those before it."""
    _last: Forwarded | None = None
    """How the one right before it ended."""
    _first: Held | None = None
    _kept: tuple[Route, Kept] | None = None
    """The last answer of a provider that was not passed on."""
    _resolving: "list[asyncio.Task[bool]]" = field(default_factory=list)

    def completed(self, forwarded: Forwarded) -> Forwarded:
        """How the exchange went, with what is still to be settled where that is known already."""
        if forwarded.appraisal is not None:
            return forwarded
        if self.over is not None:
            return replace(forwarded, appraisal=self.over.appraisal, attempts=self.over.attempts)
        return replace(forwarded, appraisal=_NOTHING) if self.legs and self.running is None else forwarded

    async def make(self, client: Client) -> Forwarded:
        """Make them. Raises what placing a hold does, and UpstreamUnreachable as forwarding does."""
        candidates = self.planned
        if isinstance(candidates, Route):
            return await self._attempt(await self._begun(candidates), client, None)
        following = candidates.next(self.opening.monotonic_ns())
        while following is not None:
            following = candidates.next(self.opening.monotonic_ns()) or following  # more may be known by now
            if not await _waited(client, following.wait_ns):
                break
            target = following.target
            if self.running is not None and self.over is not None:
                self._move_on(self.running, self.over)
            with Spare(self.opening, candidates, target, self.parts.wall_ns, last_word=self._kept is None) as spare:
                try:
                    running = await self._begun(Route(target.deployment, target.model))
                except HeadgateError:
                    if self._kept is None:
                        raise
                    break
                forwarded = await self._attempt(running, client, spare)
            if not forwarded.untold:
                return forwarded
            following = None if client.gone else spare.following
        return await self._told(client)

    async def reached(self, place: Place | None) -> Reached:
        """How far the exchange came. Waits until the holds before the last are resolved in the books."""
        settled = True
        if self._resolving:
            with suppress(asyncio.CancelledError):  # the gateway stops and cannot wait for its database
                settled = all(await asyncio.gather(*self._resolving))
        return Reached(place, self.admission, self.route, self.held, tuple(self.legs), settled)

    async def _begun(self, route: Route) -> Running:
        """Set money aside for an attempt. Raises what placing a hold does: then the one before it is resolved."""
        parts, opening = self.parts, self.opening
        self.route = route
        sent = parts.forwarder.ready(route)
        try:
            held = await parts.holds.place(self.admission, route, opening, sent=sent, further=self._further())
        finally:  # as it may have been already
            self._resolve()
        self.held, self._first = held, self._first or held
        self.running = Running(opening, self.admission, route, held, parts.appraiser)
        parts.live.add(self.running)
        return self.running

    async def _attempt(self, running: Running, client: Client, spare: Spare | None) -> Forwarded:
        """It goes out. What the client is not told is concluded, and noted in case this process dies."""
        parts, held = self.parts, running.held
        clearance = None if held is None or held.sent else partial(parts.holds.mark_sent, held)
        conclude = partial(parts.conclude, running)
        if spare is None:
            return await parts.forwarder.forward(running, client, conclude, clearance)
        forwarded = await parts.forwarder.forward(running, client, conclude, clearance, spare)
        spare.ended(forwarded.ending)
        if not forwarded.untold:
            return forwarded
        self.over = forwarded if forwarded.appraisal is not None else await conclude(forwarded)
        if spare.kept is not None:
            self._kept = (running.route, spare.kept)
        went_out = forwarded.ending is not Ending.NEVER_SENT or (held is not None and held.sent)
        if held is not None and went_out and self.over.appraisal is not None:
            charge = min(self.over.appraisal.bill.charge_nanos or 0, held.amount_nanos)
            parts.holds.ledger.note(Checkpoint(held.hold_id, held.account_id, charge, self.over.appraisal.tokens))
        return forwarded

    def _move_on(self, running: Running, over: Forwarded) -> None:
        """The attempt that is over becomes one of those before; its hold is resolved when the next one's is placed."""
        bill = Bill() if over.appraisal is None else over.appraisal.bill
        self.legs.append(Leg(billed(over.attempts, over.appraisal, running.held), bill))
        self.running, self.over, self._last = None, None, over

    def _further(self) -> Further | None:
        if not self.legs:
            return None
        attempts = tuple(attempt for leg in self.legs for attempt in leg.attempts)
        charge = sum(leg.bill.charge_nanos or 0 for leg in self.legs)
        return Further(attempts, charge, len(self.legs) + 1, self._first, self._resolve)

    def _resolve(self) -> None:
        """Have the hold of the attempt before resolved, if it is not."""
        held, over = self.held, self._last
        if held is not None and over is not None and over.appraisal is not None:
            self.held = None
            self._resolving.append(
                self.parts.settler.resolve(held, over.appraisal, str(over.ending), self.parts.wall_ns())
            )

    async def _told(self, client: Client) -> Forwarded:
        """No target has answered: the client is told what one said, if it is still there."""
        if self._kept is None or client.gone:
            return self.completed(Forwarded(Ending.NEVER_SENT, CLIENT_CLOSED))
        self.route, kept = self._kept
        forwarder = self.parts.forwarder
        running = Running(self.opening, self.admission, self.route, self.held, self.parts.appraiser)
        answering = Answering(running, kept.head, None, forwarder.trailers, _as_it_is)
        return self.completed(await answering.pass_on(KeptCall(kept), client, forwarder.bounds.patience))


async def _as_it_is(forwarded: Forwarded) -> Forwarded:
    return forwarded


async def _waited(client: Client, wait_ns: int) -> bool:
    """Wait; False if the client left."""
    if client.gone or not wait_ns:
        return not client.gone
    left = asyncio.Event()
    client.on_gone(left.set)
    try:
        async with asyncio.timeout(wait_ns / _NS):
            await left.wait()
    except TimeoutError:
        return True
    return False
