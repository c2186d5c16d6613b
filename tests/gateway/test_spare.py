"""What an attempt's failure leads to, and what it says of health."""

import pytest

from headgate.dialects.base import Ask
from headgate.gateway.request import Opening
from headgate.gateway.spare import Spare
from headgate.gateway.upstream import Head
from headgate.records import Ending
from headgate.routing.aliases import Alias, Target, Tier
from headgate.routing.candidates import candidates_for
from headgate.routing.health import Health, Phase

from .fakes import deployment

A, B = Target(deployment("openai"), "m"), Target(deployment("groq"), "m")
OWN = Target(deployment("openai", client_keys=True), "m")
S = 1_000_000_000


def spare(health: Health, *targets: Target, last_word: bool = True, now: int = 0) -> Spare:
    alias = Alias("smart", tuple(Tier((target,)) for target in targets or (A, B)))
    candidates = candidates_for(alias, "openai.chat", Ask(), health, chance="x")
    target = (targets or (A,))[0]
    return Spare(Opening("ex_1", 0, 0, lambda: now), candidates, target, lambda: 0, last_word=last_word)


@pytest.mark.parametrize(
    ("status", "instead", "failures"),
    [(200, False, 0), (400, False, 0), (409, True, 0), (429, True, 1), (500, True, 1)],
)
def test_a_head(status: int, instead: bool, failures: int) -> None:
    health = Health()
    with spare(health) as it:
        assert it.heard(Head(status, ())) is instead
        it.ended(Ending.COMPLETE if status == 200 else Ending.REFUSED)
    assert (it.following is not None) is instead
    assert (health.of(A.key).failures, health.of(A.key).under_way) == (failures, 0)


def test_who_says_when_is_left_alone_and_not_counted_as_failing() -> None:
    health = Health()
    with spare(health) as it:
        assert it.heard(Head(429, [(b"retry-after", b"9")]))
        it.ended(Ending.REFUSED)
    assert health.cooling(0) == {A.key: 9 * S}
    assert health.of(A.key).failures == 0


def test_the_last_of_a_limit_is_heeded_before_it_refuses() -> None:
    health = Health()
    with spare(health) as it:
        headers = [(b"x-ratelimit-remaining-requests", b"0"), (b"x-ratelimit-reset-requests", b"4s")]
        assert not it.heard(Head(200, headers))
        it.ended(Ending.COMPLETE)
    assert health.cooling(0) == {A.key: 4 * S}


def test_a_limit_of_a_clients_own_account_is_no_ones_else() -> None:
    health = Health()
    with spare(health, OWN, B) as it:
        headers = [
            (b"retry-after", b"9"),
            (b"x-ratelimit-remaining-requests", b"0"),
            (b"x-ratelimit-reset-requests", b"4s"),
        ]
        assert it.heard(Head(429, headers)), "another may have room for it"
        it.ended(Ending.REFUSED)
    assert health.cooling(0) == {}
    assert health.of(OWN.key).failures == 0


def test_the_last_of_all_is_told() -> None:
    with spare(Health(), A) as it:
        assert not it.heard(Head(500, ()))
        assert not it.broke()
    with spare(Health(), A, last_word=False) as it:
        assert it.broke(), "there is a provider's answer to tell instead"


def test_one_attempt_is_one_failure() -> None:
    health = Health()
    with spare(health) as it:
        it.broke()
        it.ended(Ending.UPSTREAM_CUT)
    assert health.of(A.key).failures == 1


@pytest.mark.parametrize("ending", [Ending.UPSTREAM_CUT, Ending.UPSTREAM_ERROR])
def test_a_stream_that_breaks_off_later_is_a_failure(ending: Ending) -> None:
    health = Health()
    with spare(health) as it:
        it.heard(Head(200, ()))
        it.ended(ending)
    assert health.of(A.key).failures == 1


def test_a_client_that_leaves_says_nothing() -> None:
    health = Health()
    health.failed(A.key, 0)
    with spare(health) as it:
        it.heard(Head(200, ()))
        it.ended(Ending.CLIENT_LEFT)
    assert (health.of(A.key).failures, health.of(A.key).phase) == (1, Phase.WELL)
