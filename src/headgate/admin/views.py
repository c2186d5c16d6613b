"""What comes back over the wire, as types. The OpenAPI document is made from these.

Money stands in each answer twice: integer nano-dollars for programs, decimal dollars for people and for programs
without 64-bit integers.
"""

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from headgate.access.budgets import Scope, Window
from headgate.access.limits import Limits
from headgate.access.virtual import VirtualKey
from headgate.admin.books import Finding, Verdict
from headgate.admin.office import Posting, Standing
from headgate.admin.terms import is_good
from headgate.admin.texts import usd_from_nanos
from headgate.ledger.entries import Account, AccountKind, Entry, EntryKind, Hold, HoldState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SessionView(Struct, frozen=True, kw_only=True):
    """Who has signed in, by the name of his admin key; null is without an end."""

    name: str
    expires_at: datetime | None


class AccountView(Struct, frozen=True, kw_only=True):
    """An account as it stands. Available is what is posted less what is held."""

    account: str
    kind: AccountKind
    closed: bool
    limit_nanos: int | None
    limit_usd: str | None
    posted_nanos: int
    posted_usd: str
    held_nanos: int
    held_usd: str
    available_nanos: int
    available_usd: str


class PostingView(Struct, frozen=True, kw_only=True):
    """A top-up or correction that stands in the books. `repeated`: it did so before this request."""

    entry_id: str
    repeated: bool
    account: AccountView


class EntryView(Struct, frozen=True, kw_only=True):
    """One row of the ledger: what it added to the account's two sums."""

    serial: int
    entry_id: str
    account: str
    kind: EntryKind
    posted_nanos: int
    posted_usd: str
    held_nanos: int
    held_usd: str
    at: datetime
    hold_id: str | None
    note: str


class HoldView(Struct, frozen=True, kw_only=True):
    """Money set aside for a request. `checkpoint` is the charge so far, `resolved` the one that was captured."""

    hold_id: str
    account: str
    state: HoldState
    sent: bool
    node: str
    placed_at: datetime
    amount_nanos: int
    amount_usd: str
    checkpoint_nanos: int | None
    checkpoint_usd: str | None
    resolved_nanos: int | None
    resolved_usd: str | None


class FindingView(Struct, frozen=True, kw_only=True):
    """An account's balances as kept, as the entries have them, and what its open holds add up to."""

    account: str
    verdict: Verdict
    posted_nanos: int
    posted_usd: str
    entries_posted_nanos: int
    entries_posted_usd: str
    held_nanos: int
    held_usd: str
    entries_held_nanos: int
    entries_held_usd: str
    open_holds_nanos: int
    open_holds_usd: str


class LimitsView(Struct, frozen=True, kw_only=True):
    """Limits on rate; null is no limit."""

    requests_per_minute: int | None
    requests_per_day: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    concurrent: int | None


class KeyView(Struct, frozen=True, kw_only=True):
    """A key, but not its text. `good`: neither revoked nor expired."""

    key_id: str
    name: str
    account: str
    hint: str
    good: bool
    owner: str
    tags: tuple[str, ...]
    models: tuple[str, ...]
    providers: tuple[str, ...]
    limits: LimitsView
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedKey(KeyView, frozen=True, kw_only=True):
    """A new key with its text, which is not shown again."""

    key: str


class BudgetView(Struct, frozen=True, kw_only=True):
    """A budget and how full it is in the window that is now. Left is the limit less what is used and held."""

    scope: Scope
    subject: str
    window: Window
    ends_at: datetime | None
    limit_nanos: int
    limit_usd: str
    used_nanos: int
    used_usd: str
    held_nanos: int
    held_usd: str
    left_nanos: int
    left_usd: str


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong: a stable word, a sentence, and which part of the request it is about."""

    code: str
    message: str
    param: str | None


class ErrorView(Struct, frozen=True, kw_only=True):
    """Every answer that is not a success."""

    error: Problem


def account_view(account: Account) -> AccountView:
    """An account for the wire."""
    return AccountView(
        account=account.account_id,
        kind=account.kind,
        closed=account.closed,
        limit_nanos=account.limit_nanos,
        limit_usd=_usd(account.limit_nanos),
        posted_nanos=account.posted_nanos,
        posted_usd=usd_from_nanos(account.posted_nanos),
        held_nanos=account.held_nanos,
        held_usd=usd_from_nanos(account.held_nanos),
        available_nanos=account.available_nanos,
        available_usd=usd_from_nanos(account.available_nanos),
    )


def posting_view(posting: Posting) -> PostingView:
    """A top-up or correction for the wire."""
    return PostingView(entry_id=posting.entry_id, repeated=posting.repeated, account=account_view(posting.account))


def entry_view(numbered: tuple[int, Entry]) -> EntryView:
    """An entry with its serial number for the wire."""
    serial, entry = numbered
    return EntryView(
        serial=serial,
        entry_id=entry.entry_id,
        account=entry.account_id,
        kind=entry.kind,
        posted_nanos=entry.posted_nanos,
        posted_usd=usd_from_nanos(entry.posted_nanos),
        held_nanos=entry.held_nanos,
        held_usd=usd_from_nanos(entry.held_nanos),
        at=moment(entry.at_ns),
        hold_id=entry.hold_id,
        note=entry.note,
    )


def hold_view(hold: Hold) -> HoldView:
    """A hold for the wire."""
    return HoldView(
        hold_id=hold.hold_id,
        account=hold.account_id,
        state=hold.state,
        sent=hold.sent,
        node=hold.node,
        placed_at=moment(hold.placed_at_ns),
        amount_nanos=hold.amount_nanos,
        amount_usd=usd_from_nanos(hold.amount_nanos),
        checkpoint_nanos=hold.checkpoint_nanos,
        checkpoint_usd=_usd(hold.checkpoint_nanos),
        resolved_nanos=hold.resolved_nanos,
        resolved_usd=_usd(hold.resolved_nanos),
    )


def finding_view(finding: Finding) -> FindingView:
    """What a check of an account's books found, for the wire."""
    return FindingView(
        account=finding.account_id,
        verdict=finding.verdict,
        posted_nanos=finding.balances.posted_nanos,
        posted_usd=usd_from_nanos(finding.balances.posted_nanos),
        entries_posted_nanos=finding.entries.posted_nanos,
        entries_posted_usd=usd_from_nanos(finding.entries.posted_nanos),
        held_nanos=finding.balances.held_nanos,
        held_usd=usd_from_nanos(finding.balances.held_nanos),
        entries_held_nanos=finding.entries.held_nanos,
        entries_held_usd=usd_from_nanos(finding.entries.held_nanos),
        open_holds_nanos=finding.open_holds_nanos,
        open_holds_usd=usd_from_nanos(finding.open_holds_nanos),
    )


def key_view(key: VirtualKey, now_ns: int) -> KeyView:
    """A key for the wire."""
    return KeyView(
        key_id=key.key_id,
        name=key.name,
        account=key.account_id,
        hint=key.hint,
        good=is_good(key, now_ns),
        owner=key.owner,
        tags=key.tags,
        models=key.models,
        providers=key.providers,
        limits=LimitsView(**{name: getattr(key.limits, name) for name in Limits.__struct_fields__}),
        created_at=moment(key.created_at_ns),
        expires_at=None if key.expires_at_ns is None else moment(key.expires_at_ns),
        revoked_at=None if key.revoked_at_ns is None else moment(key.revoked_at_ns),
    )


def created_key(key: VirtualKey, text: str, now_ns: int) -> CreatedKey:
    """A new key for the wire, with its text."""
    return CreatedKey(**msgspec.structs.asdict(key_view(key, now_ns)), key=text)


def budget_view(standing: Standing) -> BudgetView:
    """A budget for the wire."""
    budget = standing.budget
    left = budget.limit_nanos - standing.used_nanos - standing.held_nanos
    return BudgetView(
        scope=budget.scope,
        subject=budget.subject,
        window=budget.window,
        ends_at=None if standing.ends_at_ns is None else moment(standing.ends_at_ns),
        limit_nanos=budget.limit_nanos,
        limit_usd=usd_from_nanos(budget.limit_nanos),
        used_nanos=standing.used_nanos,
        used_usd=usd_from_nanos(standing.used_nanos),
        held_nanos=standing.held_nanos,
        held_usd=usd_from_nanos(standing.held_nanos),
        left_nanos=left,
        left_usd=usd_from_nanos(left),
    )


def session_view(name: str, expires_at_ns: int | None) -> SessionView:
    """A visit for the wire."""
    return SessionView(name=name, expires_at=None if expires_at_ns is None else moment(expires_at_ns))


def moment(at_ns: int) -> datetime:
    """A time for the wire, to the microsecond."""
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def _usd(nanos: int | None) -> str | None:
    return None if nanos is None else usd_from_nanos(nanos)
