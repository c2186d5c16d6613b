"""The table of operations: what the API can do. The application and the OpenAPI document are both made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from headgate.access.budgets import Scope, Window
from headgate.admin import bodies, downloads, handlers, session, sums, texts, views, watching
from headgate.admin.export import Format
from headgate.admin.handlers import Answer, Call, Desk, Download, Events
from headgate.admin.health import HealthView
from headgate.admin.offer import ModelView, ProviderView
from headgate.admin.prices import PriceView
from headgate.admin.records import RecordView
from headgate.admin.snapshot import LiveView
from headgate.records import Ending, Mark

Handler = Callable[[Desk, Call], Awaitable[Answer | Download | Events]]


class By(StrEnum):
    """What usage is summed by; days are in UTC."""

    MODEL = "model"
    PROVIDER = "provider"
    KEY = "key"
    ACCOUNT = "account"
    DAY = "day"


class GroupKind(StrEnum):
    """What the groups of a series are."""

    MODEL = "model"
    PROVIDER = "provider"
    KEY = "key"
    ACCOUNT = "account"


class Step(StrEnum):
    """What a series has a row for each of; days are in UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


Limit = Annotated[int, Meta(ge=1, le=500, description="How many at most")]
Serial = Annotated[str, Meta(pattern=r"^[0-9]{1,18}$(?!\n)", description="The next_cursor of another page")]
Place = Annotated[
    str, Meta(pattern=r"^[0-9]{1,19}\.[!-~]{1,200}$(?!\n)", description="The next_cursor of another page")
]
Text = Annotated[str, Meta(pattern=texts.NOTE)]


class _Query(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be left out is unset rather than None, which "null" would be read as."""


class Nothing(_Query, frozen=True, kw_only=True):
    """No parameters."""


class Paging(_Query, frozen=True, kw_only=True):
    """A page of a list."""

    limit: Limit = 100
    cursor: Place | UnsetType = UNSET


class EntryPaging(_Query, frozen=True, kw_only=True):
    """A page of entries."""

    limit: Limit = 100
    cursor: Serial | UnsetType = UNSET


class OfAccount(Paging, frozen=True, kw_only=True):
    """Those of an account."""

    account: bodies.Name | UnsetType = UNSET


class BudgetQuery(Paging, frozen=True, kw_only=True):
    """Budgets of a scope, or of a subject."""

    scope: Scope | UnsetType = UNSET
    subject: bodies.Name | UnsetType = UNSET


class RecordFilter(_Query, frozen=True, kw_only=True):
    """Which records. A key by its name or id; the model that served, or else the one asked for."""

    since: bodies.Moment | UnsetType = UNSET
    until: bodies.Moment | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    account: Text | UnsetType = UNSET
    model: Text | UnsetType = UNSET
    provider: Text | UnsetType = UNSET
    ending: Ending | UnsetType = UNSET
    mark: Mark | UnsetType = UNSET


class RecordQuery(RecordFilter, frozen=True, kw_only=True):
    """A page of records."""

    limit: Limit = 100
    cursor: Place | UnsetType = UNSET


class ExportQuery(RecordFilter, frozen=True, kw_only=True):
    """Which records, and as what."""

    format: Format = Format.CSV


class UsageQuery(_Query, frozen=True, kw_only=True):
    """What to sum by, and from when until when."""

    by: By = By.MODEL
    since: bodies.Moment | UnsetType = UNSET
    until: bodies.Moment | UnsetType = UNSET


class SeriesQuery(_Query, frozen=True, kw_only=True):
    """Which steps of time, widened to whole ones; which groups: those that cost most, or one by its name."""

    step: Step = Step.HOUR
    since: bodies.Moment | UnsetType = UNSET
    until: bodies.Moment | UnsetType = UNSET
    by: GroupKind | UnsetType = UNSET
    top: Annotated[int, Meta(ge=1, le=20, description="How many groups stand by themselves")] = 8
    name: Text | UnsetType = UNSET
    sums: (
        Annotated[
            str, Meta(pattern=r"^[a-z_]{1,40}(,[a-z_]{1,40}){0,30}$(?!\n)", description="Only these sums, by name")
        ]
        | UnsetType
    ) = UNSET


class ModelQuery(EntryPaging, frozen=True, kw_only=True):
    """Which models: those with all of these words in their names."""

    search: Text | UnsetType = UNSET


class PriceQuery(_Query, frozen=True, kw_only=True):
    """Which model."""

    model: Text


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

    by: By
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

    by: GroupKind | None
    step: Step
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
    query: type[Struct] = Nothing
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
    Operation("GET", "/accounts", handlers.list_accounts, AccountPage, query=Paging),
    Operation("GET", _ACCOUNT, handlers.get_account, views.AccountView, refusals=(404,)),
    Operation("PUT", _ACCOUNT, handlers.put_account, views.AccountView, _NEW, body=bodies.AccountTerms,
              refusals=_WRITING),
    Operation("POST", _ACCOUNT + "/close", handlers.close_account, views.AccountView, refusals=(404, *_WRITING)),
    Operation("POST", _ACCOUNT + "/top-ups", handlers.top_up, views.PostingView, _NEW, body=bodies.TopUp,
              idempotent=True, refusals=(404, *_WRITING)),
    Operation("POST", _ACCOUNT + "/corrections", handlers.correct, views.PostingView, _NEW, body=bodies.Correction,
              idempotent=True, refusals=(404, *_WRITING)),
    Operation("GET", _ACCOUNT + "/entries", handlers.list_account_entries, EntryPage, query=EntryPaging,
              refusals=(404,)),
    Operation("GET", "/holds", handlers.list_holds, HoldPage, query=OfAccount),
    Operation("GET", _HOLD, handlers.get_hold, views.HoldView, refusals=(404,)),
    Operation("GET", _HOLD + "/entries", handlers.list_hold_entries, EntryPage, query=EntryPaging, refusals=(404,)),
    Operation("GET", "/check", watching.check_books, Findings),
    Operation("GET", "/live", watching.get_live, LiveView),
    Operation("GET", "/live/events", watching.watch_live, None, downloads=("text/event-stream",), refusals=(503,)),
    Operation("GET", "/health", watching.get_health, HealthView),
    Operation("GET", "/providers", watching.list_providers, Providers),
    Operation("GET", "/models", watching.list_models, ModelPage, query=ModelQuery),
    Operation("GET", "/keys", handlers.list_keys, KeyPage, query=OfAccount),
    Operation("POST", "/keys", handlers.create_key, views.CreatedKey, (201,), body=bodies.NewKey,
              refusals=(404, *_WRITING)),
    Operation("GET", _KEY, handlers.get_key, views.KeyView, refusals=(404,)),
    Operation("PATCH", _KEY, handlers.change_key, views.KeyView, body=bodies.KeyChanges, refusals=(404, *_WRITING)),
    Operation("POST", _KEY + "/revoke", handlers.revoke_key, views.KeyView, refusals=(404, *_WRITING)),
    Operation("GET", _KEY + "/budgets", handlers.list_key_budgets, Budgets, refusals=(404,)),
    Operation("GET", "/budgets", handlers.list_budgets, BudgetPage, query=BudgetQuery),
    Operation("PUT", _BUDGET, handlers.put_budget, views.BudgetView, body=bodies.BudgetTerms,
              refusals=(404, *_WRITING)),
    Operation("DELETE", _BUDGET, handlers.remove_budget, None, (204,), refusals=(404, *_WRITING)),
    Operation("GET", "/records", handlers.list_records, RecordPage, query=RecordQuery),
    Operation("GET", "/records/export", downloads.export_records, None, query=ExportQuery,
              downloads=tuple(form.media_type for form in Format)),
    Operation("GET", "/records/{exchange_id}", handlers.get_record, RecordView, refusals=(404,)),
    Operation("GET", "/usage", sums.get_usage, UsageRows, query=UsageQuery),
    Operation("GET", "/series", sums.get_series, SeriesView, query=SeriesQuery),
    Operation("GET", "/prices", handlers.list_prices, Prices, query=PriceQuery),
)  # fmt: skip
