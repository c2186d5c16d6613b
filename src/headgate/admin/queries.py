"""What may stand in the query of an operation, as types. The OpenAPI document is made from these."""

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from headgate.access.budgets import Scope
from headgate.admin import bodies, texts
from headgate.admin.export import Format
from headgate.records import Ending, Mark


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


class DeedFilter(_Query, frozen=True, kw_only=True):
    """Which deeds. The text is looked for in all of a deed; A to Z and a to z are alike."""

    since: bodies.Moment | UnsetType = UNSET
    until: bodies.Moment | UnsetType = UNSET
    actor: Text | UnsetType = UNSET
    action: Text | UnsetType = UNSET
    subject: Text | UnsetType = UNSET
    text: Text | UnsetType = UNSET


class DeedQuery(DeedFilter, frozen=True, kw_only=True):
    """A page of deeds."""

    limit: Limit = 100
    cursor: Serial | UnsetType = UNSET


class TranscriptFilter(_Query, frozen=True, kw_only=True):
    """Which transcripts. A key by its name or id; the text is looked for in the bodies, A to Z and a to z alike."""

    since: bodies.Moment | UnsetType = UNSET
    until: bodies.Moment | UnsetType = UNSET
    key: Text | UnsetType = UNSET
    text: Text | UnsetType = UNSET


class TranscriptQuery(TranscriptFilter, frozen=True, kw_only=True):
    """A page of transcripts."""

    limit: Limit = 100
    cursor: Place | UnsetType = UNSET


class PriceQuery(_Query, frozen=True, kw_only=True):
    """Which model."""

    model: Text
