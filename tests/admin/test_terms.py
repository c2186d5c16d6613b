import dataclasses

import pytest
from msgspec.structs import replace

from headgate.access.limits import Limits
from headgate.access.virtual import VirtualKey
from headgate.admin.terms import LARGEST_LIMIT, KeyTerms, check_terms, is_good, terms_of
from headgate.errors import BadRequest

GOOD = KeyTerms(
    "k",
    "acme",
    owner="Ada, 2nd floor",
    tags=("env=prod",),
    models=("gpt-*", "anthropic/claude-[34]*"),
    providers=("openai",),
    expires_at_ns=2**62,
    limits=Limits(1, LARGEST_LIMIT, None, 5, 1),
)
KEY = VirtualKey("key_1", "k", "acme", b"d", "hg-12345678", 1)


def test_good_terms() -> None:
    check_terms(GOOD)
    check_terms(KeyTerms("k", "acme"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a b"),
        ("owner", "a\nb"),
        ("tags", ("a b",)),
        ("tags", ("a",) * 101),
        ("models", ("",)),
        ("models", ("gpt 4",)),
        ("models", ("x",) * 101),
        ("providers", ("a" * 201,)),
        ("expires_at", 2**63),
        ("expires_at", -1),
        ("limits", Limits(requests_per_minute=0)),
        ("limits", Limits(tokens_per_day=LARGEST_LIMIT + 1)),
        ("limits", Limits(concurrent=-1)),
    ],
)
def test_what_is_out_of_bounds_is_named(field: str, value: object) -> None:
    own = {"expires_at": "expires_at_ns"}.get(field, field)
    with pytest.raises(BadRequest) as refused:
        check_terms(dataclasses.replace(GOOD, **{own: value}))  # type: ignore[arg-type]
    assert (refused.value.param or "").startswith(field)


def test_the_terms_of_a_key_are_all_that_was_decided() -> None:
    made = replace(KEY, **{name: getattr(GOOD, name) for name in KeyTerms.__slots__})
    assert terms_of(made) == GOOD


@pytest.mark.parametrize(
    ("expires", "revoked", "good"),
    [(None, None, True), (11, None, True), (10, None, False), (9, None, False), (None, 10, False), (11, 3, False)],
)
def test_good_is_neither_revoked_nor_expired(expires: int | None, revoked: int | None, good: bool) -> None:
    assert is_good(replace(KEY, expires_at_ns=expires, revoked_at_ns=revoked), 10) is good
