"""Aliases as operators write them."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from headgate.providers import registry
from headgate.providers.base import Deployment
from headgate.routing.aliases import Choose, Lack, Tier, aliases_of, with_contexts


@dataclass(frozen=True)
class Written:
    provider: str
    model: str | None = None
    weight: int = 1
    context: int | None = None
    lacks: tuple[Lack, ...] = ()


@dataclass(frozen=True)
class Model:
    targets: tuple[Written, ...] = (Written("eu"),)
    fallbacks: tuple[str | Written, ...] = ()
    choose: Choose = Choose.WEIGHTED
    sticky: bool = True
    attempts: int = 3
    hold_back_ms: int = 0
    max_wait_seconds: float = 2.0


def deployment(name: str) -> Deployment:
    provider = registry.by_name("openai")
    return Deployment(name, provider, provider.base_url, None, provider.on_client_gone)


DEPLOYMENTS = [deployment("eu"), deployment("us")]


def shape(*tiers: Tier) -> list[list[str]]:
    return [[str(target) for target in tier.targets] for tier in tiers]


def test_targets_and_fallbacks_are_tiers_in_order() -> None:
    found = aliases_of(
        {
            "smart": Model(
                (Written("eu", "m-eu", 3), Written("us")), ("plain", Written("us", "last")), hold_back_ms=250
            ),
            "plain": Model((Written("eu", "small"),), choose=Choose.BUSY),
        },
        DEPLOYMENTS,
    )
    smart, plain = found
    assert shape(*smart.tiers) == [["eu/m-eu", "us/smart"], ["eu/small"], ["us/last"]]
    assert [tier.choose for tier in smart.tiers] == [Choose.WEIGHTED, Choose.BUSY, Choose.WEIGHTED]
    assert smart.targets[0].weight == 3
    assert (smart.hold_back_seconds, smart.attempts, plain.name) == (0.25, 3, "plain")


@pytest.mark.parametrize(
    ("drafts", "told"),
    [
        ({"a": Model((Written("nobody"),))}, r"a: expected a configured provider \(eu, us\), not 'nobody'"),
        ({"a": Model(fallbacks=("b",))}, r"a: `fallbacks`: expected another model's name \(none\), not 'b'"),
        ({"a": Model(fallbacks=("a",))}, r"a: expected fallbacks without a circle, not a -> a"),
        (
            {"a": Model(fallbacks=("b",)), "b": Model(fallbacks=("c",)), "c": Model(fallbacks=("a",))},
            "a: expected fallbacks without a circle, not a -> b -> c -> a",
        ),
        (
            {"a": Model((Written("eu", weight=2), Written("eu")))},
            "a: expected each target once; `weight` says how much",
        ),
        ({"a": Model(targets=())}, "a: expected a name and at least one target"),
        ({" ": Model()}, "expected a name and at least one target"),
        ({"a": Model(), "A": Model()}, "names that differ in more than case"),
    ],
)
def test_what_cannot_be_is_told(drafts: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        aliases_of(drafts, DEPLOYMENTS)


def test_a_fallback_that_two_lead_to_is_no_circle() -> None:
    drafts = {"a": Model(fallbacks=("b", "c")), "b": Model(fallbacks=("c",)), "c": Model()}
    assert len(aliases_of(drafts, DEPLOYMENTS)[0].tiers) == 4


def test_a_target_is_told_as_a_client_would_name_it() -> None:
    target = aliases_of({"a": Model()}, DEPLOYMENTS)[0].targets[0]
    assert (str(target), target.key) == ("eu/a", ("eu", "a"))
    assert replace(target, weight=2).key == target.key


def test_contexts_are_the_operators_word_or_what_is_known() -> None:
    alias = aliases_of(
        {"a": Model((Written("eu", context=5), Written("us", "big"), Written("us", "odd")))}, DEPLOYMENTS
    )[0]
    known = with_contexts(alias, lambda target: 900 if target.model == "big" else None)
    assert [target.context for target in known.targets] == [5, 900, None]
