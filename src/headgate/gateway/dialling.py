"""A provider is connected to for a socket: where an alias leads to several, one after the other, until a line stands.

Nothing that a client has asked goes out with an upgrade, so an attempt to connect costs nothing and needs no hold.
"""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from headgate.errors import HeadgateError, Source, UpstreamUnreachable
from headgate.gateway.request import Opening
from headgate.gateway.socket import Refusal, UpstreamSocket
from headgate.gateway.spare import Spare
from headgate.gateway.upstream import Head
from headgate.providers.base import Deployment
from headgate.records import Attempt, Ending
from headgate.routing.aliases import Alias, Target
from headgate.routing.candidates import Candidates
from headgate.routing.models import Route

_NS = 1_000_000_000


class End(Struct, frozen=True):
    """The provider's end of a line."""

    deployment: Deployment
    """With credentials that were good when it was connected to."""
    socket: UpstreamSocket
    alias: Alias | None = None
    target: Target | None = None
    """The alias's, where one led here."""


class Refused(Struct, frozen=True):
    """The provider's answer was no socket."""

    deployment: Deployment
    answer: Refusal


Reach = Callable[[Route], Awaitable[End | Refused]]
"""Connects to a deployment. Raises UpstreamUnreachable, UpstreamTimeout, UpstreamCut."""


class Dialling(Struct, frozen=True):
    """The search for the provider of one line."""

    reach: Reach
    opening: Opening
    wall_ns: Callable[[], int]
    tried: list[Attempt] = field(default_factory=list)
    """What failed, in order."""

    async def only(self, route: Route) -> End | Refused:
        """The one there is. Raises what `reach` does."""
        began = self.opening.now()
        try:
            found = await self.reach(route)
        except HeadgateError as error:
            self._note(route, began, error=error)
            raise
        if isinstance(found, Refused):
            self._note(route, began, status=found.answer.status)
        return found

    async def among(self, candidates: Candidates) -> End | Refused:
        """The first that stands, or the last refusal that a provider gave. Raises what `reach` does if none gave any.

        That a line stands says nothing yet of its target's health: its turns do.
        """
        refused: Refused | None = None
        fault: HeadgateError = UpstreamUnreachable(f"Nothing serves the model '{candidates.alias.name}' now.")
        following = candidates.next(self.opening.monotonic_ns())
        while following is not None:
            await asyncio.sleep(following.wait_ns / _NS)
            target = following.target
            with Spare(self.opening, candidates, target, self.wall_ns, last_word=True) as spare:
                try:
                    found = await self.only(Route(target.deployment, target.model))
                except HeadgateError as error:
                    if error.source is not Source.UPSTREAM:
                        raise
                    fault, goes_on = error, spare.broke()
                else:
                    if isinstance(found, End):
                        return End(found.deployment, found.socket, candidates.alias, target)
                    refused = found
                    goes_on = spare.heard(Head(found.answer.status, found.answer.headers))
            following = spare.following if goes_on else None
        if refused is None:
            raise fault
        return refused

    def _note(
        self, route: Route, began_ns: int, *, status: int | None = None, error: HeadgateError | None = None
    ) -> None:
        ending = Ending.NEVER_SENT if status is None else Ending.REFUSED
        code = None if error is None else error.code
        self.tried.append(
            Attempt(
                route.deployment.name, status, began_ns, self.opening.now(), code, route.model, ending, cost_nanos=0
            )
        )
