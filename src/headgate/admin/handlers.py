"""One small function for each operation: it asks the office and gives the answer.

The first line of each docstring stands in the OpenAPI document.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from headgate.admin import bodies, views
from headgate.admin.bookkeeping import Bookkeeping
from headgate.admin.deeds import Deeds
from headgate.admin.health import Health
from headgate.admin.offer import Offer
from headgate.admin.office import Office
from headgate.admin.onlookers import Onlooker, Onlookers
from headgate.admin.passes import Passes
from headgate.admin.prices import PriceFinder
from headgate.admin.records import RecordReader, record_view
from headgate.admin.signin import AdminKeys, Visit
from headgate.admin.snapshot import LiveView
from headgate.admin.terms import KeyTerms
from headgate.admin.texts import nanos_from_usd
from headgate.errors import NotFound
from headgate.ledger.entries import Account, AccountKind, Hold
from headgate.records import Record, Wanted

_T = TypeVar("_T")

_LARGEST_INTEGER = 2**63 - 1
"""Of a database."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What there is to see of a running gateway that no database knows."""

    take: Callable[[], Awaitable[LiveView]]
    """Takes a snapshot of what is under way."""
    onlookers: Onlookers
    health: Health
    books: Bookkeeping
    offer: Offer


@dataclass(frozen=True, slots=True)
class Desk:
    """Whom the handlers ask."""

    office: Office
    records: RecordReader
    prices: PriceFinder
    clock_ns: Callable[[], int]
    keys: AdminKeys
    passes: Passes
    sight: Sight
    deeds: Deeds


class Call(NamedTuple):
    """One request, read and checked against the types of its operation."""

    path: dict[str, Any]
    query: Any
    body: Any
    idempotency_key: str | None
    visit: Visit = Visit("", None, "", "", secure=False)


class Answer(NamedTuple):
    """What goes back; None for no body."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


class Download(NamedTuple):
    """A file that goes back piece by piece, as it is made."""

    media_type: str
    filename: str
    chunks: AsyncIterator[bytes]
    """The first is at hand: what can be refused has been refused."""


class Events(NamedTuple):
    """Server-sent events for one who looks on, until either side has enough."""

    onlooker: Onlooker


# Accounts


async def list_accounts(desk: Desk, call: Call) -> Answer:
    """All accounts, by name."""

    def place(account: Account) -> tuple[int, str]:
        return 0, account.account_id

    return _page(await desk.office.accounts(), place, views.account_view, call.query)


async def put_account(desk: Desk, call: Call) -> Answer:
    """Open an account, or change its kind and limit; a closed one is reopened."""
    body: bodies.AccountTerms = call.body
    kind, limit_nanos = AccountKind.PREPAID, None
    if isinstance(body, bodies.Postpaid):
        kind = AccountKind.POSTPAID
        limit_nanos = None if body.limit_usd is None else nanos_from_usd(body.limit_usd, "limit_usd")
    account, new = await desk.office.open_account(call.path["account"], kind, limit_nanos)
    return Answer(views.account_view(account), 201 if new else 200)


async def get_account(desk: Desk, call: Call) -> Answer:
    """An account as it stands."""
    return Answer(views.account_view(await desk.office.account(call.path["account"])))


async def close_account(desk: Desk, call: Call) -> Answer:
    """Let an account place no more holds; what runs is settled, and the balance stays."""
    return Answer(views.account_view(await desk.office.close_account(call.path["account"])))


async def top_up(desk: Desk, call: Call) -> Answer:
    """Pay in. With an Idempotency-Key it can be repeated safely."""
    body: bodies.TopUp = call.body
    amount = nanos_from_usd(body.amount_usd, "amount_usd")
    posting = await desk.office.top_up(call.path["account"], amount, call.idempotency_key, body.note)
    return Answer(views.posting_view(posting), 200 if posting.repeated else 201)


async def correct(desk: Desk, call: Call) -> Answer:
    """Correct a balance, up or down. With an Idempotency-Key it can be repeated safely."""
    body: bodies.Correction = call.body
    amount = nanos_from_usd(body.amount_usd, "amount_usd")
    posting = await desk.office.correct(call.path["account"], amount, call.idempotency_key, body.note)
    return Answer(views.posting_view(posting), 200 if posting.repeated else 201)


async def list_account_entries(desk: Desk, call: Call) -> Answer:
    """The ledger's entries of an account, newest first."""
    return await _entries(desk, call, account_id=call.path["account"])


async def list_holds(desk: Desk, call: Call) -> Answer:
    """The holds that are not resolved, oldest first."""

    def place(hold: Hold) -> tuple[int, str]:
        return hold.placed_at_ns, hold.hold_id

    return _page(await desk.office.open_holds(given(call.query.account)), place, views.hold_view, call.query)


async def get_hold(desk: Desk, call: Call) -> Answer:
    """A hold, open or resolved."""
    return Answer(views.hold_view(await desk.office.hold(call.path["hold_id"])))


async def list_hold_entries(desk: Desk, call: Call) -> Answer:
    """The ledger's entries of a hold, newest first."""
    return await _entries(desk, call, hold_id=call.path["hold_id"])


# Keys and budgets


async def create_key(desk: Desk, call: Call) -> Answer:
    """Make a key. Its text is in this answer and nowhere else."""
    body: bodies.NewKey = call.body
    terms = KeyTerms(
        name=body.name,
        account_id=body.account,
        owner=body.owner,
        tags=body.tags,
        models=body.models,
        providers=body.providers,
        expires_at_ns=None if body.expires_at is None else bodies.nanoseconds(body.expires_at, "expires_at"),
        limits=body.limits.limits(),
    )
    key, text = await desk.office.create_key(terms)
    return Answer(views.created_key(key, text, desk.clock_ns()), 201)


async def list_keys(desk: Desk, call: Call) -> Answer:
    """All keys, revoked and expired ones too, the oldest first."""
    keys = await desk.office.keys(given(call.query.account))
    now_ns = desk.clock_ns()
    return _page(keys, lambda key: (key.created_at_ns, key.key_id), lambda key: views.key_view(key, now_ns), call.query)


async def get_key(desk: Desk, call: Call) -> Answer:
    """A key, but not its text."""
    return Answer(views.key_view(await desk.office.key(call.path["key_id"]), desk.clock_ns()))


async def change_key(desk: Desk, call: Call) -> Answer:
    """Change what a key may do; its text stays good."""
    body: bodies.KeyChanges = call.body
    changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    if "account" in changes:
        changes["account_id"] = changes.pop("account")
    if "limits" in changes:
        changes["limits"] = changes["limits"].limits()
    if "expires_at" in changes:
        at = changes.pop("expires_at")
        changes["expires_at_ns"] = None if at is None else bodies.nanoseconds(at, "expires_at")
    key = await desk.office.change_key(call.path["key_id"], lambda terms: replace(terms, **changes))
    return Answer(views.key_view(key, desk.clock_ns()))


async def revoke_key(desk: Desk, call: Call) -> Answer:
    """Make a key good for nothing, at once and for good."""
    return Answer(views.key_view(await desk.office.revoke_key(call.path["key_id"]), desk.clock_ns()))


async def list_key_budgets(desk: Desk, call: Call) -> Answer:
    """All budgets that bind a key: its own, its account's and its tags'."""
    standings = await desk.office.budgets_of(await desk.office.key(call.path["key_id"]))
    return Answer({"data": [views.budget_view(standing) for standing in standings]})


async def list_budgets(desk: Desk, call: Call) -> Answer:
    """All budgets, and how full they are."""
    standings = await desk.office.budgets(given(call.query.scope), given(call.query.subject))
    return _page(standings, lambda standing: (0, standing.budget.budget_id), views.budget_view, call.query)


async def put_budget(desk: Desk, call: Call) -> Answer:
    """Bound what a key (by its id), an account or a tag spends in a window."""
    scope, subject, window = (call.path[name] for name in ("scope", "subject", "window"))
    limit_nanos = nanos_from_usd(call.body.limit_usd, "limit_usd")
    return Answer(views.budget_view(await desk.office.put_budget(scope, subject, window, limit_nanos)))


async def remove_budget(desk: Desk, call: Call) -> Answer:
    """Bound it no more."""
    await desk.office.remove_budget(call.path["scope"], call.path["subject"], call.path["window"])
    return Answer(None, 204)


# What was used


async def list_records(desk: Desk, call: Call) -> Answer:
    """Records of exchanges, newest first."""
    query = call.query
    before = None if query.cursor is UNSET else place_of(query.cursor)
    found, goes_on = await desk.records.page(wanted(query), query.limit + 1, before)

    def place(record: Record) -> tuple[int, str]:
        return record.started_at_ns, record.exchange_id

    answer = _cut(found, query.limit, lambda record: _cursor(place(record)), record_view)
    if goes_on is not None:
        answer.value["next_cursor"] = _cursor(goes_on)
    return answer


async def get_record(desk: Desk, call: Call) -> Answer:
    """The record of an exchange."""
    record = await desk.records.find(call.path["exchange_id"])
    if record is None:
        raise NotFound(f"There is no record of an exchange '{call.path['exchange_id']}'.")
    return Answer(record_view(record))


async def list_prices(desk: Desk, call: Call) -> Answer:
    """What a model costs now, at each provider that has a price for it; nothing where it is unpriced."""
    return Answer({"data": list(desk.prices(call.query.model))})


# Parameters and pages


def wanted(query: Any) -> Wanted:
    """The records that a query filters for."""
    names = ("key", "account", "model", "provider", "ending", "mark")
    return Wanted(at_ns(query, "since"), at_ns(query, "until"), **{name: given(getattr(query, name)) for name in names})


def given(value: Any) -> Any:
    """A parameter's value; None where it was left out."""
    return None if value is UNSET else value


def at_ns(query: Any, name: str) -> int | None:
    """A time among the parameters, in nanoseconds since the epoch; None where it was left out. Raises BadRequest."""
    at = given(getattr(query, name))
    return None if at is None else bodies.nanoseconds(at, name)


async def _entries(desk: Desk, call: Call, account_id: str | None = None, hold_id: str | None = None) -> Answer:
    query = call.query
    before = None if query.cursor is UNSET else int(query.cursor)
    found = await desk.office.entries(account_id, hold_id, query.limit + 1, before)
    return _cut(found, query.limit, lambda numbered: str(numbered[0]), views.entry_view)


def _page(items: Sequence[_T], place: Callable[[_T], tuple[int, str]], view: Callable[[_T], Any], query: Any) -> Answer:
    """A page of a list that is at hand as a whole, in ascending order of the items' places."""
    after = None if query.cursor is UNSET else place_of(query.cursor)
    left = [item for item in sorted(items, key=place) if after is None or place(item) > after]
    return _cut(left, query.limit, lambda item: _cursor(place(item)), view)


def _cut(items: Sequence[_T], limit: int, cursor: Callable[[_T], str], view: Callable[[_T], Any]) -> Answer:
    """The first items, and the cursor that goes on behind them if there are more."""
    shown = items[:limit]
    return Answer(
        {
            "data": [view(item) for item in shown],
            "next_cursor": cursor(shown[-1]) if len(items) > limit else None,
        }
    )


def _cursor(place: tuple[int, str]) -> str:
    return f"{place[0]}.{place[1]}"


def place_of(cursor: str) -> tuple[int, str]:
    """What a cursor says: the number and the name below or above which to go on."""
    number, _, text = cursor.partition(".")
    return min(int(number), _LARGEST_INTEGER), text
