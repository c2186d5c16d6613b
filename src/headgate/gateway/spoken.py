"""A turn on a socket as the gateway keeps it: from its asking to its settlement."""

import asyncio
import json
from typing import Any

from msgspec import Struct, field

from headgate.dialects.conversation import Turn
from headgate.errors import Busy, HeadgateError, UpstreamUnreachable
from headgate.gateway.admit import Admission
from headgate.gateway.answering import CLIENT_CLOSED, Forwarded, unreported
from headgate.gateway.hold import Held
from headgate.gateway.legs import Leg
from headgate.gateway.live import Running
from headgate.gateway.request import Opening
from headgate.gateway.tape import Tape
from headgate.records import Attempt, Bill, Ending
from headgate.routing import signals
from headgate.routing.health import Health
from headgate.routing.models import Route
from headgate.usage import Reading


class Pulse:
    """What a turn says of its target's health, from when it goes on to the provider; `over` has to follow."""

    def __init__(self, health: Health, route: Route, opening: Opening) -> None:
        self._health = health
        self._key = (route.deployment.name, route.model or "")
        self._own = not route.deployment.client_keys
        self._now = opening.monotonic_ns
        self._began_ns = self._now()
        self._answered = False
        self._refused_with: int | None = None
        health.tried(self._key, self._began_ns)

    def heard(self, turn: Turn, frame: bytes) -> None:
        """The provider's frame of the turn, which the turn has taken: it works on it, or has refused it."""
        if turn.began and not self._answered:
            self._answered = True
            now = self._now()
            self._health.answered(self._key, now, now - self._began_ns)
        elif turn.ended and not turn.began:
            self._refused_with = status_told(frame)

    def over(self, ending: Ending) -> None:
        """How it ended. A line that the client or the gateway ended says nothing of the provider."""
        failed = ending in {Ending.UPSTREAM_CUT, Ending.UPSTREAM_ERROR}
        if ending is Ending.REFUSED and self._refused_with is not None:
            failed = signals.is_failure(self._refused_with, own_credential=self._own)
        if failed:
            self._health.failed(self._key, self._now())
        well = not failed and (ending is Ending.COMPLETE or self._refused_with is not None)
        self._health.over(self._key, self._now(), well=well)


class Spoken(Struct, eq=False):
    """A turn, from its asking to its settlement; None is where it did not get."""

    opening: Opening
    admission: Admission
    turn: Turn | None
    """None for a frame of which nobody can tell what it asks."""
    sent: bool
    """The provider knows of it: its frame went out, or the provider began it by itself."""
    frame: bytes = b""
    """As it went on."""
    tried: list[Attempt] = field(default_factory=list)
    """To connect to a provider for it, in vain; nothing of it was sent there."""
    route: Route | None = None
    placing: asyncio.Task[Held | None] | None = None
    """Its hold, which is placed to the end though the line may end meanwhile: only so can its record tell of it."""
    running: Running | None = None
    """Once its hold is placed."""
    pulse: Pulse | None = None
    """Where an alias led to the target, once its hold is placed."""
    error: HeadgateError | None = None
    """Why it may not be."""
    tape: Tape | None = None
    first_byte_ns: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0

    def concluded(self, turn: Turn, ending: Ending | None) -> Forwarded:
        """How it went; without an ending its own frames tell."""
        error, reading = self.error, turn.finish()
        sent = self.sent or turn.began or turn.ended
        if turn.ended or ending is None:
            ending = _ending_of(turn, reading)
        elif not sent:
            error, ending = _why_unsent(ending), Ending.NEVER_SENT
        else:
            reading = unreported(reading, turn.ask)
        if self.pulse is not None:
            self.pulse.over(ending)
        route = self.route if sent else None
        return Forwarded(
            ending,
            error.status if error is not None else 200 if sent else CLIENT_CLOSED,
            upstream_status=200 if sent else None,
            reading=reading,
            attempts=() if route is None else (_attempt(route, self.opening, ending),),
            first_byte_ns=self.first_byte_ns,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            error=error,
        )

    async def placed(self) -> Held | None:
        """Its hold. None where it was refused, or the gateway gives up: then it is given back."""
        try:
            return None if self.placing is None else await self.placing
        except (HeadgateError, asyncio.CancelledError):
            return None


def legs_of(tried: list[Attempt]) -> tuple[Leg, ...]:
    """Attempts to connect, as legs: without a hold, because nothing that costs was sent."""
    return tuple(Leg((attempt,), Bill(cost_nanos=0)) for attempt in tried)


def status_told(frame: bytes) -> int | None:
    """The HTTP status that an error frame stands for; None where it does not say."""
    try:
        told: Any = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    error = told.get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict):
        return None
    status = told.get("status")
    if isinstance(status, int) and not isinstance(status, bool):
        return status
    return 500 if error.get("type") == "server_error" else None


def _attempt(route: Route, opening: Opening, ending: Ending) -> Attempt:
    return Attempt(route.deployment.name, 200, 0, opening.now(), model=route.model, ending=ending)


def _ending_of(turn: Turn, reading: Reading) -> Ending:
    """What the settlement table calls a turn whose last frame has come."""
    if reading.in_stream_error is None:
        return Ending.COMPLETE
    return Ending.UPSTREAM_ERROR if turn.began else Ending.REFUSED


def _why_unsent(ending: Ending) -> HeadgateError | None:
    """What kept a turn from its provider, by how its line ended."""
    match ending:
        case Ending.CLIENT_LEFT:
            return None
        case Ending.UPSTREAM_CUT:
            return UpstreamUnreachable("The provider's connection was gone before this could be sent.")
        case _:
            return Busy("The gateway is stopping.")
