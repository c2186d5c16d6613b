import hashlib
import hmac
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.virtual import PREFIX, RANDOM_BYTES, VirtualKey, digest_of, hint_of, key_text
from headgate.errors import Forbidden, Unauthorized

NOW = 1_000
KEY = VirtualKey("key_1", "alice", "team", b"\x01" * 32, "hg-AAECAwQF", 0, tags=("red", "blue"))


def refused(check: Callable[[], None]) -> str:
    """The message of a Forbidden; "" where it passes."""
    try:
        check()
    except Forbidden as error:
        return error.message
    return ""


def test_a_key_is_good_until_it_is_revoked_or_expires() -> None:
    KEY.check(NOW)
    replace(KEY, expires_at_ns=NOW + 1).check(NOW)
    for expired in (NOW, NOW - 1, 0):
        with pytest.raises(Unauthorized, match=r"^The key 'alice' \(hg-AAECAwQF\.\.\.\) has expired\.$"):
            replace(KEY, expires_at_ns=expired).check(NOW)
    for revoked in (0, NOW, NOW + 1):  # whatever a clock said then: a revocation is never in the future
        with pytest.raises(Unauthorized, match="has been revoked"):
            replace(KEY, revoked_at_ns=revoked, expires_at_ns=0).check(NOW)


@pytest.mark.parametrize(
    ("patterns", "names", "allowed"),
    [
        ((), ("gpt-4o",), True),
        ((), (None,), True),
        ((), (), True),
        (("gpt-4o",), ("gpt-4o",), True),
        (("gpt-4o",), ("gpt-4o-mini",), False),
        (("gpt-4o*",), ("gpt-4o-mini",), True),
        (("gpt-4o*",), ("openai/gpt-4o-mini",), False),
        (("*",), ("anything/at-all",), True),
        (("*",), (None,), False),
        (("gpt-4o",), (None, None), False),
        (("gpt-4o",), (), False),
        (("claude-*", "gpt-4o"), ("gpt-4o",), True),
        # under either of its names, as asked for or as sent on; in any case of letters
        (("gpt-4o",), ("openai/gpt-4o", "gpt-4o"), True),
        (("openai/*",), ("openai/gpt-4o", "gpt-4o"), True),
        (("groq/*",), ("openai/gpt-4o", "gpt-4o"), False),
        (("GPT-4o",), ("gpt-4O",), True),
        (("gpt-4o",), (None, "gpt-4o"), True),
        (("gpt-?",), ("gpt-5",), True),
        (("gpt-?",), ("gpt-5.1",), False),
        (("gpt-[45]",), ("gpt-5",), True),
    ],
)
def test_which_models_it_may_use(patterns: tuple[str, ...], names: tuple[str | None, ...], allowed: bool) -> None:
    key = replace(KEY, models=patterns)
    assert (not refused(lambda: key.check_model(*names))) is allowed


def test_a_refusal_names_the_key_what_it_may_not_use_and_what_it_may() -> None:
    key = replace(KEY, models=("gpt-*", "o3"), providers=("openai", "eu"))
    assert refused(lambda: key.check_model(None, "claude", "x")) == (
        "The key 'alice' may not use the model 'claude'; it may use gpt-*, o3."
    )
    assert refused(lambda: key.check_model(None)) == (
        "The key 'alice' may not use a request that names no model; it may use gpt-*, o3."
    )
    assert refused(lambda: key.check_provider("groq")) == (
        "The key 'alice' may not use the provider 'groq'; it may use openai, eu."
    )
    assert len(refused(lambda: key.check_model("x" * 100_000))) < 300


def test_which_deployments_it_may_use() -> None:
    KEY.check_provider("anything")
    bound = replace(KEY, providers=("openai",))
    assert not refused(lambda: bound.check_provider("openai"))
    for other in ("groq", "openai2", "", "*"):
        assert refused(lambda other=other: bound.check_provider(other))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("scope", "subject", "bound"),
    [
        (Scope.KEY, "key_1", True),
        (Scope.KEY, "key_2", False),
        (Scope.KEY, "team", False),
        (Scope.KEY, "alice", False),
        (Scope.ACCOUNT, "team", True),
        (Scope.ACCOUNT, "key_1", False),
        (Scope.TAG, "red", True),
        (Scope.TAG, "blue", True),
        (Scope.TAG, "Red", False),
        (Scope.TAG, "re", False),
        (Scope.TAG, "team", False),
    ],
)
def test_whose_budgets_bind_it(scope: Scope, subject: str, bound: bool) -> None:
    assert KEY.bound_by(Budget("b", scope, subject, Window.DAY, 1)) is bound


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_a_key_can_stand_in_a_header_and_be_found_in_a_text(random: bytes) -> None:
    text = key_text(random)
    assert re.fullmatch(r"hg-[A-Za-z0-9_-]{32}", text)
    assert hint_of(text) == text[:11]
    assert text.startswith(hint_of(text))


@given(st.sets(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES), min_size=2, max_size=2))
def test_no_two_keys_are_alike(randoms: set[bytes]) -> None:
    texts = {key_text(random) for random in randoms}
    assert len(texts) == 2
    assert len({digest_of(text.encode(), b"s") for text in texts}) == 2


def test_a_hint_leaves_enough_unsaid() -> None:
    text = key_text(bytes(range(RANDOM_BYTES)))
    unsaid = len(text) - len(hint_of(text))
    assert unsaid * 6 >= 128, "bits that nobody is shown"
    assert hint_of("short") == "short"
    assert hint_of(PREFIX) == PREFIX


def test_a_digest_is_hmac_sha256_under_the_gateways_secret() -> None:
    """RFC 4231, test case 2."""
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert digest_of(b"what do ya want for nothing?", b"Jefe").hex() == known
    assert hmac.compare_digest(digest_of(b"k", b"s"), hmac.digest(b"s", b"k", "sha256"))
    assert digest_of(b"k", b"s") != digest_of(b"k", b"another")
    assert digest_of(b"k", b"s") != hashlib.sha256(b"k").digest(), "a copy of the database alone tells nothing"
