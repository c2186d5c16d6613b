"""The table of operations: what the API can do. The application and the OpenAPI document are both made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct

from headgate.access.budgets import Scope, Window
from headgate.admin import audit, bodies, downloads, handlers, queries, session, sums, views, watching
from headgate.admin.export import Format
from headgate.admin.handlers import Answer, Call, Desk, Download, Events
from headgate.admin.health import HealthView
from headgate.admin.offer import ModelView, ProviderView
from headgate.admin.prices import PriceView
from headgate.admin.records import RecordView
from headgate.admin.snapshot import LiveView

Handler = Callable[[Desk, Call], Awaitable[Answer | Download | Events]]


class AccountPage(Struct, frozen=True, kw_only=True):
    """Accounts."""

    data: list[views.AccountView]
    next_cursor: str | None


class EntryPage(Struct, frozen=True, kw_only=True):
    """Entries."""

    data: list[views.EntryView]
    next_cursor: str | None


class HoldPage(Struct, frozen=True, kw_only=True):
    """Holds."""

    data: list[views.HoldView]
    next_cursor: str | None


class KeyPage(Struct, frozen=True, kw_only=True):
    """Keys."""

    data: list[views.KeyView]
    next_cursor: str | None


class BudgetPage(Struct, frozen=True, kw_only=True):
    """Budgets."""

    data: list[views.BudgetView]
    next_cursor: str | None


class RecordPage(Struct, frozen=True, kw_only=True):
    """Records."""

    data: list[RecordView]
    next_cursor: str | None


class ModelPage(Struct, frozen=True, kw_only=True):
    """Models."""

    data: list[ModelView]
    next_cursor: str | None


class Providers(Struct, frozen=True, kw_only=True):
    """Providers."""

    data: list[ProviderView]


class Findings(Struct, frozen=True, kw_only=True):
    """What came of a check of the books."""

    data: list[views.FindingView]


class Budgets(Struct, frozen=True, kw_only=True):
    """Budgets."""

    data: list[views.BudgetView]


class UsageRows(Struct, frozen=True, kw_only=True):
    """Sums; each row carries its group under the name of what it is. Null is unknown, not 0."""

    by: queries.By
    since: datetime | None
    until: datetime | None
    rows: list[dict[str, int | str | None]]


class SeriesGroup(Struct, frozen=True, kw_only=True):
    """One group's rows, which stand in the order of `starts`; null where nothing happened.

    The name is null for exchanges without one, for all exchanges, and for `others`: all groups that do not stand by
    themselves.
    """

    name: str | None
    others: bool
    rows: list[dict[str, int | str | None] | None]


class SeriesView(Struct, frozen=True, kw_only=True):
    """Sums step by step: the groups that cost most, and the others as one."""

    by: queries.GroupKind | None
    step: queries.Step
    since: datetime
    until: datetime
    starts: list[datetime]
    """The beginnings of the steps."""
    groups: list[SeriesGroup]


class Prices(Struct, frozen=True, kw_only=True):
    """Prices of a model, one for each provider that has one."""

    data: list[PriceView]


PATH_PARAMETERS: Mapping[str, Any] = {
    "account": bodies.Name,
    "key_id": bodies.Name,
    "hold_id": bodies.Name,
    "exchange_id": bodies.Name,
    "scope": Scope,
    "subject": bodies.Name,
    "window": Window,
}
"""The type of whatever stands in braces in a path."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the API can do."""

    method: str
    path: str
    handler: Handler
    answer: Any
    """The type of a success's body; None where there is none."""
    statuses: tuple[int, ...] = (200,)
    """Of successes."""
    query: type[Struct] = queries.Nothing
    body: Any = None
    """The type of a request's body; None where there is none."""
    idempotent: bool = False
    """Takes an Idempotency-Key."""
    refusals: tuple[int, ...] = ()
    """Statuses of errors, beside those that any operation may have."""
    downloads: tuple[str, ...] = ()
    """The content types of a success that is a file and not JSON."""
    way_in: bool = False
    """Needs no key: it is where one is shown."""

    discloses: bool = False
    """It shows what was said, or who did what: that is a deed as well, though it changes nothing."""

    @property
    def changes(self) -> bool:
        """It is a deed, and kept as one before it is done."""
        return self.method != "GET" and not self.way_in

    @property
    def name(self) -> str:
        """The operationId."""
        return self.handler.__name__

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().splitlines()[0]


_ACCOUNT, _HOLD, _KEY = "/accounts/{account}", "/holds/{hold_id}", "/keys/{key_id}"
_BUDGET = "/budgets/{scope}/{subject}/{window}"
_NEW, _WRITING = (200, 201), (409, 503)

OPERATIONS: tuple[Operation, ...] = (
    Operation("POST", "/session", session.sign_in, views.SessionView, body=bodies.SignIn, way_in=True),
    Operation("GET", "/session", session.get_session, views.SessionView),
    Operation("DELETE", "/session", session.sign_out, None, (204,), way_in=True),
    Operation("GET", "/accounts", handlers.list_accounts, AccountPage, query=queries.Paging),
    Operation("GET", _ACCOUNT, handlers.get_account, views.AccountView, refusals=(404,)),
    Operation("PUT", _ACCOUNT, handlers.put_account, views.AccountView, _NEW, body=bodies.AccountTerms,
              refusals=_WRITING),
    Operation("POST", _ACCOUNT + "/close", handlers.close_account, views.AccountView, refusals=(404, *_WRITING)),
    Operation("POST", _ACCOUNT + "/top-ups", handlers.top_up, views.PostingView, _NEW, body=bodies.TopUp,
              idempotent=True, refusals=(404, *_WRITING)),
    Operation("POST", _ACCOUNT + "/corrections", handlers.correct, views.PostingView, _NEW, body=bodies.Correction,
              idempotent=True, refusals=(404, *_WRITING)),
    Operation("GET", _ACCOUNT + "/entries", handlers.list_account_entries, EntryPage, query=queries.EntryPaging,
              refusals=(404,)),
    Operation("GET", "/holds", handlers.list_holds, HoldPage, query=queries.OfAccount),
    Operation("GET", _HOLD, handlers.get_hold, views.HoldView, refusals=(404,)),
    Operation("GET", _HOLD + "/entries", handlers.list_hold_entries, EntryPage, query=queries.EntryPaging,
              refusals=(404,)),
    Operation("GET", "/check", watching.check_books, Findings),
    Operation("GET", "/live", watching.get_live, LiveView),
    Operation("GET", "/live/events", watching.watch_live, None, downloads=("text/event-stream",), refusals=(503,)),
    Operation("GET", "/health", watching.get_health, HealthView),
    Operation("GET", "/providers", watching.list_providers, Providers),
    Operation("GET", "/models", watching.list_models, ModelPage, query=queries.ModelQuery),
    Operation("GET", "/keys", handlers.list_keys, KeyPage, query=queries.OfAccount),
    Operation("POST", "/keys", handlers.create_key, views.CreatedKey, (201,), body=bodies.NewKey,
              refusals=(404, *_WRITING)),
    Operation("GET", _KEY, handlers.get_key, views.KeyView, refusals=(404,)),
    Operation("PATCH", _KEY, handlers.change_key, views.KeyView, body=bodies.KeyChanges, refusals=(404, *_WRITING)),
    Operation("POST", _KEY + "/revoke", handlers.revoke_key, views.KeyView, refusals=(404, *_WRITING)),
    Operation("GET", _KEY + "/budgets", handlers.list_key_budgets, Budgets, refusals=(404,)),
    Operation("GET", "/budgets", handlers.list_budgets, BudgetPage, query=queries.BudgetQuery),
    Operation("PUT", _BUDGET, handlers.put_budget, views.BudgetView, body=bodies.BudgetTerms,
              refusals=(404, *_WRITING)),
    Operation("DELETE", _BUDGET, handlers.remove_budget, None, (204,), refusals=(404, *_WRITING)),
    Operation("GET", "/records", handlers.list_records, RecordPage, query=queries.RecordQuery),
    Operation("GET", "/records/export", downloads.export_records, None, query=queries.ExportQuery,
              downloads=tuple(form.media_type for form in Format)),
    Operation("GET", "/records/{exchange_id}", handlers.get_record, RecordView, refusals=(404,)),
    Operation("GET", "/usage", sums.get_usage, UsageRows, query=queries.UsageQuery),
    Operation("GET", "/series", sums.get_series, SeriesView, query=queries.SeriesQuery),
    Operation("GET", "/records/{exchange_id}/transcript", audit.get_transcript, audit.TranscriptView,
              refusals=(404, 503), discloses=True),
    Operation("GET", "/transcripts", audit.list_transcripts, audit.TranscriptPage, query=queries.TranscriptQuery,
              refusals=(503,), discloses=True),
    Operation("GET", "/transcripts/export", audit.export_transcripts, None, query=queries.TranscriptFilter,
              downloads=(Format.JSONL.media_type,), refusals=(503,), discloses=True),
    Operation("GET", "/audit", audit.list_deeds, audit.DeedPage, query=queries.DeedQuery),
    Operation("GET", "/audit/export", audit.export_deeds, None, query=queries.DeedFilter,
              downloads=(Format.JSONL.media_type,), refusals=(503,), discloses=True),
    Operation("GET", "/prices", handlers.list_prices, Prices, query=queries.PriceQuery),
)  # fmt: skip
