"""The handlers of what can only be looked at: exchanges under way, health, providers and models."""

import asyncio

from msgspec import UNSET

from headgate.admin import views
from headgate.admin.handlers import Answer, Call, Desk, Events

_SLICE = 25
"""Models whose prices are looked up between two rests of the event loop: about a millisecond."""


async def get_live(desk: Desk, _: Call) -> Answer:
    """The exchanges under way in the processes on this port, the newest first; at most 200 are shown."""
    return Answer(await desk.sight.take())


async def watch_live(desk: Desk, call: Call) -> Events:
    """Server-sent events: `live` each second, as GET /live; `ended`, with a record; `skipped`, a count.

    `skipped` counts the ended exchanges that were not told one by one, because there were too many.
    """
    return Events(desk.sight.onlookers.join(call.visit.expires_at_ns))


async def get_health(desk: Desk, _: Call) -> Answer:
    """How the gateway and its database are, and whether the books added up when they were last checked."""
    return Answer(await desk.sight.health.view())


async def check_books(desk: Desk, _: Call) -> Answer:
    """Whether entries and open holds add up to the balances, account by account."""
    return Answer({"data": [views.finding_view(finding) for finding in await desk.sight.books.check()]})


async def list_providers(desk: Desk, _: Call) -> Answer:
    """The providers as configured; of their credentials only whether there is one."""
    return Answer({"data": desk.sight.offer.providers()})


async def list_models(desk: Desk, call: Call) -> Answer:
    """The models that are known to be served, by name, and what each costs now.

    Aliases come first, with their targets instead of a price. `search` is for words of their or their providers' names.
    """
    query = call.query
    found = desk.sight.offer.found("" if query.search is UNSET else query.search)
    start = 0 if query.cursor is UNSET else int(query.cursor)
    end = start + query.limit
    shown = []
    for at, (model, provider) in enumerate(found[start:end], start=1):
        shown.append(desk.sight.offer.model_view(model, provider))
        if at % _SLICE == 0:
            await asyncio.sleep(0)
    return Answer({"data": shown, "next_cursor": str(end) if len(found) > end else None})
