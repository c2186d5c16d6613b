"""Whose turn it is."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.base import Ask
from headgate.errors import BadRequest, Forbidden
from headgate.providers import registry
from headgate.providers.base import Deployment
from headgate.routing.aliases import Alias, Choose, Lack, Target, Tier
from headgate.routing.candidates import Candidates, candidates_for
from headgate.routing.health import IN_A_ROW, Health

S = 1_000_000_000
CHAT = "openai.chat"


def target(name: str, *, kind: str = "openai", **more: Any) -> Target:
    provider = registry.by_name(kind)
    return Target(Deployment(name, provider, provider.base_url, None, provider.on_client_gone), "m", **more)


A, B, C = target("a"), target("b"), target("c")


def alias(*tiers: Tier, **more: Any) -> Alias:
    return Alias("smart", tiers or (Tier((A, B)), Tier((C,))), **more)


def asked(
    by: Alias | None = None, ask: Ask | None = None, health: Health | None = None, chance: str = "x", **more: Any
) -> Candidates:
    return candidates_for(by or alias(), CHAT, ask or Ask(), health or Health(), chance=chance, **more)


def order(candidates: Candidates, now: int = 0) -> list[str]:
    """All turns, if each fails."""
    found = []
    while (candidate := candidates.next(now)) is not None:
        now += candidate.wait_ns
        candidates.take(candidate.target, now)
        found.append(candidate.target.deployment.name)
    return found


def down(*keys: Target, now: int = 0) -> Health:
    health = Health()
    for each in keys:
        for _ in range(IN_A_ROW):
            health.failed(each.key, now)
    return health


def test_each_once_tier_by_tier() -> None:
    found = order(asked())
    assert sorted(found[:2]) == ["a", "b"]
    assert found[2:] == ["c"]


def test_no_more_than_the_bound() -> None:
    assert len(order(asked(alias(attempts=2)))) == 2


def test_what_is_in_two_tiers_has_one_turn() -> None:
    assert order(asked(alias(Tier((A,)), Tier((A, B))))) == ["a", "b"]


@given(st.text(min_size=1), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_order_is_the_same_every_time(text: str, weights: list[int]) -> None:
    tier = Tier(tuple(target(f"d{n}", weight=weight) for n, weight in enumerate(weights)))
    by, ask = alias(tier, attempts=20), Ask(sticky_id=text)
    first = order(asked(by, ask, chance="one"))
    assert first == order(asked(by, ask, chance="another"))
    assert sorted(first) == sorted(each.deployment.name for each in tier.targets)


@given(st.text(min_size=1), st.integers(0, 3))
def test_without_a_target_only_what_was_its_own_goes_elsewhere(text: str, gone: int) -> None:
    targets = [target(f"d{n}", weight=n + 1) for n in range(4)]
    ask = Ask(sticky_id=text)
    every = order(asked(alias(Tier(tuple(targets)), attempts=9), ask))
    del targets[gone]
    assert order(asked(alias(Tier(tuple(targets)), attempts=9), ask)) == [name for name in every if name != f"d{gone}"]


@pytest.mark.parametrize("sticky", [True, False], ids=["ids", "chance"])
def test_weights_are_shares(sticky: bool) -> None:
    by = alias(Tier((target("a", weight=5), target("b", weight=3), target("c", weight=2))))
    texts = [f"ex_{n:012x}" for n in range(20_000)]
    firsts = Counter(order(asked(by, Ask(sticky_id=text if sticky else None), chance=text))[0] for text in texts)
    for name, share in {"a": 0.5, "b": 0.3, "c": 0.2}.items():
        assert abs(firsts[name] / len(texts) - share) < 0.015


def test_without_stickiness_an_id_does_not_count() -> None:
    ask = Ask(sticky_id="the same")
    firsts = Counter(order(asked(alias(sticky=False), ask, chance=str(n)))[0] for n in range(200))
    assert min(firsts["a"], firsts["b"]) > 50


def test_least_latency() -> None:
    health = Health()
    health.answered(A.key, 0, 900)
    health.answered(B.key, 0, 300)
    by = alias(Tier((A, B), Choose.LATENCY))
    firsts = Counter(order(asked(by, health=health, chance=str(n)))[0] for n in range(1_000))
    assert firsts["b"] > 900
    assert firsts["a"] > 0, "the slow one is looked at again"
    assert order(asked(alias(Tier((A, B, C), Choose.LATENCY)), health=health, chance="y"))[0] == "c", "not known yet"


def test_least_busy() -> None:
    health = Health()
    heavy = target("heavy", weight=4)
    by = alias(Tier((heavy, A), Choose.BUSY))
    taken = Counter[str]()
    for n in range(400):
        first = asked(by, health=health, chance=str(n)).next(0)
        assert first is not None
        health.tried(first.target.key, 0)
        taken[first.target.deployment.name] += 1
    assert abs(taken["heavy"] / 400 - 0.8) < 0.05


def test_those_that_cool_down_come_last() -> None:
    assert order(asked(alias(Tier((A,)), Tier((B,)), Tier((C,)), max_wait_seconds=0), health=down(A))) == [
        "b",
        "c",
        "a",
    ]


def test_all_down_and_one_is_tried_all_the_same() -> None:
    assert len(order(asked(alias(max_wait_seconds=0), health=down(A, B, C)), now=1)) == 1


def test_who_is_free_soonest() -> None:
    health = Health()
    for each, seconds in ((A, 30), (B, 20), (C, 25)):
        health.limited(each.key, 0, seconds * S)
    assert order(asked(alias(max_wait_seconds=0), health=health)) == ["b"]


def test_one_that_says_when_is_waited_for() -> None:
    health = Health()
    candidates = asked(alias(Tier((A,))), health=health)
    first = candidates.next(0)
    assert first is not None
    candidates.take(A, 0)
    assert candidates.next(0) is None, "it said nothing"
    health.limited(A.key, 0, S)
    again = candidates.next(0)
    assert again is not None
    assert (again.target, again.wait_ns) == (A, S)
    health.limited(A.key, 0, 3 * S)
    assert candidates.next(0) is None, "longer than the bound"


def test_another_is_tried_rather_than_one_waited_for() -> None:
    health = Health()
    health.limited(A.key, 0, S)
    first = asked(alias(Tier((A,)), Tier((B,))), health=health).next(0)
    assert first is not None
    assert (first.target, first.wait_ns) == (B, 0)


def test_only_targets_that_speak_the_dialect() -> None:
    by = alias(Tier((target("x", kind="anthropic"), A)))
    assert order(asked(by)) == ["a"]
    with pytest.raises(
        BadRequest, match=r"not served in openai\.chat; its targets speak anthropic\.batches, anthropic\.messages"
    ):
        asked(alias(Tier((target("x", kind="anthropic"),))))


def test_only_targets_that_the_key_may_use() -> None:
    assert order(asked(among=("b", "z"))) == ["b"]
    with pytest.raises(Forbidden, match=r"\(z\) serves the model 'smart'"):
        asked(among=("z",))


@pytest.mark.parametrize(
    ("unfit", "ask", "why"),
    [
        (replace(A, lacks=frozenset({Lack.IMAGES})), Ask(attachments=1), "takes no images"),
        (replace(A, lacks=frozenset({Lack.TOOLS})), Ask(has_tools=True), "takes no tools"),
        (replace(A, lacks=frozenset({Lack.STREAMS})), Ask(stream=True), "does not stream"),
        (replace(A, context=1_000), Ask(input_bytes=17_000), "has a context of 1000 tokens, and the prompt has more"),
    ],
)
def test_what_cannot_serve_it_is_passed_over(unfit: Target, ask: Ask, why: str) -> None:
    assert order(asked(alias(Tier((unfit, B))), ask)) == ["b"]
    assert order(asked(alias(Tier((unfit,))))) == ["a"]
    with pytest.raises(BadRequest, match=f"can serve this request: a/m {why}"):
        asked(alias(Tier((unfit,))), ask)


def test_a_picture_is_no_text_that_fills_a_context() -> None:
    small = replace(A, context=1_000)
    assert order(asked(alias(Tier((small,))), Ask(input_bytes=10**7, prompt_bytes=400, attachments=1))) == ["a"]


def test_a_context_that_is_probably_too_small_comes_later() -> None:
    small = replace(A, context=1_000)
    assert order(asked(alias(Tier((small,)), Tier((B,))), Ask(input_bytes=6_000))) == ["b", "a"]


def test_what_goes_on_from_a_response_goes_where_that_is() -> None:
    assert order(asked(at="c")) == ["c"]
    assert len(order(asked(at="elsewhere"))) == 3
