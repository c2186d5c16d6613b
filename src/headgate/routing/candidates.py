"""Which of an alias's targets get a request, one after the other.

Asked anew before each attempt, because by then more is known. A target that cannot serve the request is passed over; a
target that cools down comes last. Nothing here looks at a clock or throws dice: both are passed in.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from math import inf, log

from msgspec import Struct, field

from headgate.dialects.base import Ask
from headgate.errors import BadRequest, Forbidden
from headgate.routing.aliases import Alias, Choose, Key, Lack, Target, Tier
from headgate.routing.health import Health

_NS = 1_000_000_000
BYTES_PER_TOKEN = 4
"""A middling guess (facts/libraries.md section 6): a target that a prompt probably does not fit comes later."""
MOST_BYTES_PER_TOKEN = 16
"""No ordinary text has so many bytes to a token: a target that a prompt does not fit even so is passed over."""
_LOOK_ROUND = 20
"""Of the requests that go by latency or load one in so many goes by weight, so that a target that was slow is looked at
again."""


class Candidate(Struct, frozen=True):
    """The next target, and how long to wait before it is tried, in nanoseconds."""

    target: Target
    wait_ns: int = 0


class Candidates(Struct):
    """The candidates of one request."""

    alias: Alias
    tiers: Sequence[Tier]
    """The alias's, with only the targets that can serve this request."""
    health: Health
    chance: str
    """Evenly spread, and another one for each request."""
    sticky_id: str | None = None
    """What requests that belong together have in common."""
    doubtful: frozenset[Key] = frozenset()
    """Targets whose context is probably too small."""
    _tried: dict[Key, int] = field(default_factory=dict)
    """The targets that have been tried, with how often."""
    _desperate: bool = False
    """One has been tried though it was cooling down."""

    def next(self, now_ns: int) -> Candidate | None:
        """Whose turn it is; None if nobody's is.

        Targets that are free, each once. Then who said when to come again, if that is soon. Then one that cools down,
        so that a request is always tried somewhere.
        """
        if sum(self._tried.values()) >= self.alias.attempts:
            return None
        fresh = [(tier, [t for t in tier.targets if t.key not in self._tried]) for tier in self.tiers]
        free = [
            target
            for tier, targets in fresh
            for target in self._ordered(tier.choose, [t for t in targets if self.health.of(t.key).is_free(now_ns)])
        ]
        if free:
            return Candidate(min(free, key=lambda target: target.key in self.doubtful))  # stable: else the first
        return self._waited_for(now_ns) or self._last_resort([t for _, some in fresh for t in some])

    def keep(self, fits: Callable[[Target], bool]) -> bool:
        """Pass over the targets that do not fit; False if none does."""
        kept = (Tier(tuple(filter(fits, tier.targets)), tier.choose) for tier in self.tiers)
        self.tiers = [tier for tier in kept if tier.targets]
        return bool(self.tiers)

    def take(self, target: Target, now_ns: int) -> None:
        """A target is tried now."""
        self._desperate = self._desperate or not self.health.of(target.key).is_free(now_ns)
        self._tried[target.key] = self._tried.get(target.key, 0) + 1

    def _waited_for(self, now_ns: int) -> Candidate | None:
        """The target that is free soonest by its own word, or its cool-down's, if that is within the alias's bound."""
        most = round(self.alias.max_wait_seconds * _NS)
        waits = [(self.health.of(t.key).until_ns - now_ns, t) for tier in self.tiers for t in tier.targets]
        soon = [(wait, target) for wait, target in waits if 0 < wait <= most]
        wait, target = min(soon, key=lambda pair: pair[0], default=(0, None))
        return None if target is None else Candidate(target, wait)

    def _last_resort(self, targets: Sequence[Target]) -> Candidate | None:
        if self._desperate or not targets:
            return None
        return Candidate(min(targets, key=lambda target: self.health.of(target.key).until_ns))

    def _ordered(self, choose: Choose, targets: Sequence[Target]) -> list[Target]:
        """The order within a tier."""
        tied = self.sticky_id if self.alias.sticky else None
        text = self.chance if tied is None else tied
        by_weight = sorted(targets, key=lambda target: _score(text, target), reverse=True)
        if tied is not None or choose is Choose.WEIGHTED or _number(self.chance) % _LOOK_ROUND == 0:
            return by_weight
        if choose is Choose.LATENCY:  # what is not known is found out first
            return sorted(by_weight, key=lambda target: self.health.of(target.key).first_byte_ns or 0)
        return sorted(by_weight, key=lambda target: (self.health.of(target.key).under_way + 1) / target.weight)


def candidates_for(
    alias: Alias,
    dialect: str,
    ask: Ask,
    health: Health,
    *,
    chance: str,
    among: Sequence[str] = (),
    at: str | None = None,
) -> Candidates:
    """The candidates of a request.

    Args:
        alias: Asked for by its name.
        dialect: The client's; only targets that speak it come into question.
        ask: What has to fit.
        health: How the targets have fared.
        chance: Another text for each request, such as its exchange's id.
        among: The deployments that the key may use; all where there are none.
        at: The deployment that has what the request goes on from: if it is among the targets, no other comes into
            question.

    Raises:
        BadRequest: No target speaks the dialect, or none can serve such a request; the message says why.
        Forbidden: The key may use none of the targets.
    """
    speaking = [target for target in alias.targets if target.deployment.speaks(dialect)]
    if not speaking:
        raise BadRequest(_not_spoken(alias, dialect), param="model")
    allowed = [target for target in speaking if not among or target.deployment.name in among]
    if not allowed:
        raise Forbidden(
            f"None of the providers that this key may use ({', '.join(among)}) serves the model '{alias.name}'.",
            param="model",
        )
    reasons = {target.key: _unfit(target, ask) for target in allowed}
    fit = {key for key, reason in reasons.items() if reason is None}
    if not fit:
        told = "; ".join(f"{'/'.join(key)} {reason}" for key, reason in reasons.items())
        raise BadRequest(f"No target of the model '{alias.name}' can serve this request: {told}.", param="model")
    here = {target.key for target in allowed if target.deployment.name == at} & fit
    tiers = _narrowed(alias.tiers, here or fit)
    doubtful = frozenset(target.key for target in allowed if _tokens(ask, BYTES_PER_TOKEN) > (target.context or inf))
    return Candidates(alias, tiers, health, chance, ask.sticky_id, doubtful)


def _narrowed(tiers: Iterable[Tier], keys: set[Key]) -> list[Tier]:
    """The tiers with these targets only, each where it comes first."""
    left, found = set(keys), []
    for tier in tiers:
        targets = []
        for target in tier.targets:
            if target.key in left:
                left.discard(target.key)
                targets.append(target)
        if targets:
            found.append(Tier(tuple(targets), tier.choose))
    return found


def _unfit(target: Target, ask: Ask) -> str | None:
    """Why a target certainly cannot serve a request; None if it may."""
    if Lack.IMAGES in target.lacks and ask.attachments:
        return "takes no images"
    if Lack.TOOLS in target.lacks and ask.has_tools:
        return "takes no tools"
    if Lack.STREAMS in target.lacks and ask.stream:
        return "does not stream"
    if target.context is not None:
        least = _tokens(ask, MOST_BYTES_PER_TOKEN)
        if least > target.context:
            return f"has a context of {target.context} tokens, and the prompt has more than {least}"
    return None


def _tokens(ask: Ask, bytes_per_token: int) -> int:
    told = ask.input_bytes if ask.prompt_bytes is None else ask.prompt_bytes
    return told // bytes_per_token


def _not_spoken(alias: Alias, dialect: str) -> str:
    spoken = sorted({name for target in alias.targets for name in target.deployment.provider.dialects})
    return f"The model '{alias.name}' is not served in {dialect}; its targets speak {', '.join(spoken)}."


def _score(text: str, target: Target) -> float:
    """Weighted rendezvous hashing: the highest score has the text; each target has its weight's share of all texts.

    Without a target only what was its own goes elsewhere (Schindelhauer and Schomaker, "Weighted Distributed Hash
    Tables", 2005). It needs no memory, so it is the same in every process and after every restart.
    """
    share = ((_number("\0".join((text, *target.key))) >> 12) + 0.5) / 2**52  # between 0 and 1, and neither of them
    return -target.weight / log(share)


def _number(text: str) -> int:
    """64 bits that look like chance."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
