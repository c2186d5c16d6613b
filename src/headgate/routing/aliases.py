"""Aliases: model names of the operator's own, each with the targets that may serve it.

An alias is tiers of targets: its own first, then those of its fallbacks. Within a tier one is chosen; the next tier's
turn comes when nothing is left of the one before it (docs/failover.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from headgate.providers.base import Deployment


class Choose(StrEnum):
    """How one of a tier's targets is chosen, where nothing ties the request to one of them."""

    WEIGHTED = "weighted"
    """By chance, in proportion to the weights."""
    LATENCY = "latency"
    """The one whose answers lately began soonest."""
    BUSY = "busy"
    """The one with the fewest attempts of this process under way, in proportion to its weight."""


class Lack(StrEnum):
    """What a target may not be able to do."""

    IMAGES = "images"
    TOOLS = "tools"
    STREAMS = "streams"


Key = tuple[str, str]
"""What a target is told apart by: its deployment's name, and the model name that it is sent."""


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment, and the name under which it has the model."""

    deployment: Deployment
    model: str
    weight: int = 1
    context: int | None = None
    """The context window, in tokens; None is unknown."""
    lacks: frozenset[Lack] = frozenset()

    @property
    def key(self) -> Key:
        """What it is told apart by."""
        return self.deployment.name, self.model

    def __str__(self) -> str:
        """For messages: as a client would name it."""
        return f"{self.deployment.name}/{self.model}"


@dataclass(frozen=True, slots=True)
class Tier:
    """Targets that are as good as one another."""

    targets: tuple[Target, ...]
    choose: Choose = Choose.WEIGHTED


@dataclass(frozen=True, slots=True)
class Alias:
    """A model name of the operator's own."""

    name: str
    tiers: tuple[Tier, ...]
    sticky: bool = True
    """What belongs together goes to one target, where the prompt's beginning is cached."""
    attempts: int = 3
    """How many there may be of one exchange."""
    hold_back_seconds: float = 0.0
    """How long the beginning of a stream is held back, so that an error right after its start can be tried again."""
    max_wait_seconds: float = 2.0
    """How long a target is waited for that told when to come again, if there is no other."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """All of them, in order."""
        return tuple(target for tier in self.tiers for target in tier.targets)


class TargetDraft(Protocol):
    """A target as an operator writes it."""

    @property
    def provider(self) -> str:
        """A deployment's name."""

    @property
    def model(self) -> str | None:
        """None: the alias's own name."""

    @property
    def weight(self) -> int:
        """Positive."""

    @property
    def context(self) -> int | None:
        """Tokens."""

    @property
    def lacks(self) -> Sequence[Lack]:
        """What it cannot do."""


class Draft(Protocol):
    """An alias as an operator writes it; `sections.ModelSection` is one."""

    @property
    def targets(self) -> Sequence[TargetDraft]:
        """At least one."""

    @property
    def fallbacks(self) -> Sequence[str | TargetDraft]:
        """Names of other aliases, or targets."""

    @property
    def choose(self) -> Choose:
        """Among its targets."""

    @property
    def sticky(self) -> bool:
        """As an Alias has it; so are the others."""

    @property
    def attempts(self) -> int:
        """At least one."""

    @property
    def hold_back_ms(self) -> int:
        """Milliseconds."""

    @property
    def max_wait_seconds(self) -> float:
        """Seconds."""


def with_contexts(alias: Alias, context_of: Callable[[Target], int | None]) -> Alias:
    """The alias with what is known of its targets' contexts, where the operator did not say."""

    def known(target: Target) -> Target:
        return target if target.context is not None else replace(target, context=context_of(target))

    tiers = (replace(tier, targets=tuple(map(known, tier.targets))) for tier in alias.tiers)
    return replace(alias, tiers=tuple(tiers))


def aliases_of(drafts: Mapping[str, Draft], deployments: Sequence[Deployment]) -> tuple[Alias, ...]:
    """The aliases, ready to be asked for.

    Raises ValueError, beginning with the alias's name, for an unknown provider or fallback, a circle of fallbacks, an
    alias without targets, or two names that differ in case only.
    """
    known = {deployment.name: deployment for deployment in deployments}
    if len({name.lower() for name in drafts}) < len(drafts):
        raise ValueError("expected names that differ in more than case")
    return tuple(_alias(name, drafts, known) for name in drafts)


def _alias(name: str, drafts: Mapping[str, Draft], known: Mapping[str, Deployment]) -> Alias:
    draft = drafts[name]
    if not name.strip() or not draft.targets:
        raise ValueError(f"{name}: expected a name and at least one target")
    return Alias(
        name=name,
        tiers=_tiers(name, drafts, known, ()),
        sticky=draft.sticky,
        attempts=draft.attempts,
        hold_back_seconds=draft.hold_back_ms / 1000,
        max_wait_seconds=draft.max_wait_seconds,
    )


def _tiers(
    name: str, drafts: Mapping[str, Draft], known: Mapping[str, Deployment], above: tuple[str, ...]
) -> tuple[Tier, ...]:
    """An alias's own tier and then those of its fallbacks; `above` are the aliases that lead here."""
    if name in above:
        raise ValueError(f"{above[0]}: expected fallbacks without a circle, not {' -> '.join((*above, name))}")
    draft = drafts[name]
    targets = [(target.provider, target.model) for target in draft.targets]
    if len(set(targets)) < len(targets):
        raise ValueError(f"{name}: expected each target once; `weight` says how much it takes")
    tiers = [Tier(tuple(_target(name, target, known) for target in draft.targets), draft.choose)]
    for fallback in draft.fallbacks:
        if not isinstance(fallback, str):
            tiers.append(Tier((_target(name, fallback, known),)))
        elif fallback in drafts:
            tiers += _tiers(fallback, drafts, known, (*above, name))
        else:
            others = ", ".join(sorted(drafts.keys() - {name})) or "none"
            raise ValueError(f"{name}: `fallbacks`: expected another model's name ({others}), not '{fallback}'")
    return tuple(tiers)


def _target(name: str, draft: TargetDraft, known: Mapping[str, Deployment]) -> Target:
    deployment = known.get(draft.provider)
    if deployment is None:
        configured = ", ".join(known) or "none"
        raise ValueError(f"{name}: expected a configured provider ({configured}), not '{draft.provider}'")
    return Target(deployment, draft.model or name, draft.weight, draft.context, frozenset(draft.lacks))
