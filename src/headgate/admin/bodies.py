"""What goes in over the wire, as types: the bodies of requests and the parts that parameters share with them.

The OpenAPI document is made from these, so whatever it allows is taken. Money is a string of decimal dollars: a JSON
number would be a float in most parsers before it got here.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from headgate.access.limits import Limits
from headgate.admin import texts
from headgate.admin.terms import LARGEST_LIMIT
from headgate.errors import BadRequest

Name = Annotated[str, Meta(pattern=texts.NAME, description="Letters, digits and any of . _ : = + -")]
Note = Annotated[str, Meta(pattern=texts.NOTE, description="One line of text")]
Reason = Annotated[str, Meta(pattern=texts.REASON, description="One line of text that says why")]
Pattern = Annotated[str, Meta(pattern=texts.PATTERN)]
Patterns = Annotated[tuple[Pattern, ...], Meta(max_length=100)]
Usd = Annotated[str, Meta(pattern=texts.USD, description="Decimal dollars, exact", examples=["12.50"])]
PositiveUsd = Annotated[
    str, Meta(pattern=texts.POSITIVE_USD, description="Decimal dollars, exact; not 0", examples=["12.50"])
]
NonzeroUsd = Annotated[
    str, Meta(pattern=texts.NONZERO_USD, description="Decimal dollars, exact; not 0", examples=["-0.25"])
]
Moment = Annotated[datetime, Meta(tz=True, extra_json_schema={"pattern": r"^(197[1-9]|19[89][0-9]|2[01][0-9]{2})-"})]
"""A time with its zone, in the years 1971 to 2199: what a 64-bit column of nanoseconds holds."""
Bound = Annotated[int, Meta(ge=1, le=LARGEST_LIMIT)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_YEAR, _LAST_YEAR = 1971, 2199


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class SignIn(_Body, frozen=True, kw_only=True):
    """An admin key."""

    key: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Prepaid(_Body, frozen=True, kw_only=True, tag_field="kind", tag="prepaid"):
    """An account that spends what was paid in."""


class Postpaid(_Body, frozen=True, kw_only=True, tag_field="kind", tag="postpaid"):
    """An account that spends first: down to its limit below zero, or without bound where that is null."""

    limit_usd: Usd | None = None


AccountTerms = Prepaid | Postpaid
"""What an account is to be."""


class TopUp(_Body, frozen=True, kw_only=True):
    """Money paid in."""

    amount_usd: PositiveUsd
    note: Note = ""


class Correction(_Body, frozen=True, kw_only=True):
    """A balance put right, up or down."""

    amount_usd: NonzeroUsd
    note: Reason


class LimitTerms(_Body, frozen=True, kw_only=True):
    """Limits on rate; null is no limit."""

    requests_per_minute: Bound | None = None
    requests_per_day: Bound | None = None
    tokens_per_minute: Bound | None = None
    tokens_per_day: Bound | None = None
    concurrent: Bound | None = None

    def limits(self) -> Limits:
        """As the gateway knows them."""
        return Limits(**msgspec.structs.asdict(self))


class NewKey(_Body, frozen=True, kw_only=True):
    """A key to be made. Without models or providers it may use all of them."""

    name: Name
    account: Name
    owner: Note = ""
    tags: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    models: Patterns = ()
    providers: Patterns = ()
    expires_at: Moment | None = None
    limits: LimitTerms = LimitTerms()


class KeyChanges(_Body, frozen=True, kw_only=True):
    """What is to change about a key; what is left out stays. Limits are replaced as a whole."""

    name: Name | UnsetType = UNSET
    account: Name | UnsetType = UNSET
    owner: Note | UnsetType = UNSET
    tags: Annotated[tuple[Name, ...], Meta(max_length=100)] | UnsetType = UNSET
    models: Patterns | UnsetType = UNSET
    providers: Patterns | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    limits: LimitTerms | UnsetType = UNSET


class BudgetTerms(_Body, frozen=True, kw_only=True):
    """What may be spent."""

    limit_usd: Usd


def nanoseconds(at: datetime, param: str) -> int:
    """Nanoseconds since the epoch of a time with its zone. Raises BadRequest if it is none that can be kept."""
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise BadRequest(f"`{param}`: expected a time from {_FIRST_YEAR} to {_LAST_YEAR}.", param=param)
    return (at - _EPOCH) // _MICROSECOND * 1000
