"""Money is set aside before a request is sent: the worst case of what it may cost, under the key's caps, or not at all.

A request of a key with an account has a hold, without exception; so has one of a postpaid account, whose hold may be
of nothing. The hold is placed last before the request goes out: it is what the sweep finds if this process dies.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from headgate.access.budgets import caps as budget_caps
from headgate.access.virtual import VirtualKey
from headgate.dialects.base import Metering
from headgate.errors import Busy, Forbidden, HeadgateError, PaymentRequired, RateLimited, Unpriced
from headgate.gateway.admit import Admission
from headgate.gateway.deadline import Deadline
from headgate.gateway.request import Opening
from headgate.gateway.tariff import Tariff
from headgate.ledger.commands import Checkpoint, Place
from headgate.ledger.entries import Account, AccountKind, Cap, Counter, Measure, Outcome, Result
from headgate.ledger.store import Ledger, LedgerUnavailable
from headgate.money import dollars_text
from headgate.records import Attempt, hold_id_of
from headgate.routing.models import Route

T = TypeVar("T")
_ABOUT = ("method", "path", "dialect", "operation", "provider", "key", "key_id", "model_asked", "streamed")
_json_text = json.JSONEncoder(separators=(",", ":")).encode
_NS = 1_000_000_000
BYTES_PER_TOKEN = 4
"""A middling guess (facts/libraries.md section 6), for estimates; never for a bound."""

_COUNTED_FROM = 8 * 1024
"""Bytes of a body from which on counting its tokens is worth the time: a small one's bytes are a bound good enough."""


class Counting(Protocol):
    """Counts the tokens of a request's body, for a bound on its prompt."""

    def count(self, body: bytes) -> int | None:
        """Tokens; None where it cannot tell."""


class Held(Struct, frozen=True):
    """An exchange's hold, as it was placed."""

    hold_id: str
    account_id: str
    amount_nanos: int
    sent: bool
    """Whether the books say already that the request may have been sent."""
    caps: tuple[Cap, ...] = ()
    outcome: Outcome | None = None


class Further(Struct, frozen=True):
    """What the hold of a further attempt has to say of those before it."""

    attempts: tuple[Attempt, ...]
    charge_nanos: int
    """Of all of them."""
    number: int
    """From 2."""
    first: Held | None
    """The first one's hold, which stands in the limits on requests for all of them."""
    resolve: Callable[[], None]
    """Has the hold before it resolved. It is called right before this one is placed, so that both are one transaction
    as a rule, and there is never more than one."""


class Holds(Struct, frozen=True):
    """Places holds."""

    ledger: Ledger
    tariff: Tariff
    node: str
    """This process, to whom the holds belong."""
    tokenizer: Counting | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline(2.0))
    """For a database that cannot be written; then the request is refused rather than served for nothing."""
    abandon: Callable[[Place], None] | None = None
    """Gives back a hold whose writing was not waited for."""

    async def place(
        self, admission: Admission, route: Route, opening: Opening, *, sent: bool, further: Further | None = None
    ) -> Held | None:
        """Place the hold of an attempt; None for one that no account pays for, or that costs nothing.

        `sent`: the request will go out at once, without another word to the ledger. `further`: there have been other
        attempts.

        Raises PaymentRequired, RateLimited, Unpriced or Forbidden if the account or the key does not allow it, and
        Busy while the ledger cannot be written.
        """
        key = admission.holder.key
        if key is None or not _matters(admission):
            return None
        command = await self._command(key, admission, route, opening, sent=sent)
        if further is not None:
            command = _further(command, further)
            further.resolve()
            await asyncio.sleep(0)  # so that the books are told in this order
        outcome = await self._submit(command)
        if not outcome.stands:
            raise refusal(outcome, command)
        held = Held(command.hold_id, key.account_id, command.amount_nanos, sent, command.caps, outcome)
        return held if further is None else _with_standing(held, further.first)

    async def mark_sent(self, held: Held) -> None:
        """Have the books say that a request may have been sent, before it is. Raises Busy.

        A hold that is not open any more was taken for an orphan by another process: nothing may go out for it.
        """
        outcome = await self._bounded(self.ledger.submit(Checkpoint(held.hold_id, held.account_id)))
        if outcome.result is not Result.DONE:
            raise Busy("The gateway was cut off from its ledger for too long, so it did not send the request.")

    async def _command(
        self, key: VirtualKey, admission: Admission, route: Route, opening: Opening, *, sent: bool
    ) -> Place:
        now, ask = opening.started_at_ns, admission.ask
        amount, minimum, tokens = 0, 0, 0
        if _is_deferred(admission):
            await self._check_postpaid(key, _deferred())
        elif admission.may_cost:
            prompt = None if self.tokenizer is None else await self._prompt_tokens(admission, self.tokenizer)
            bound = self.tariff.bound(ask, route, now, prompt)
            worst = self.tariff.worst_nanos(bound, ask, route, now) if admission.place.billed else None
            if worst is None:
                await self._check_postpaid(key, _unpriced(admission, route))
            amount = worst or 0
            estimated = min(bound.input_tokens, -(-ask.input_bytes // BYTES_PER_TOKEN))
            tokens = estimated + bound.output_tokens
            minimum = min(amount, self.tariff.prompt_nanos(ask, route, now, estimated))
        caps = (*key.limits.caps(key.key_id, now, tokens), *budget_caps(key.budgets, now, amount))
        about = _about(admission, route, opening)
        return Place(
            opening.exchange_id, key.account_id, amount, now, self.node, sent=sent, minimum_nanos=minimum, about=about,
            caps=caps,
        )  # fmt: skip

    async def _prompt_tokens(self, admission: Admission, tokenizer: Counting) -> int | None:
        if admission.ask.input_bytes < _COUNTED_FROM:
            return None
        return await asyncio.to_thread(tokenizer.count, admission.request.body)

    async def _check_postpaid(self, key: VirtualKey, refusal: HeadgateError) -> None:
        """Nobody can say what it will cost: only an account that pays afterwards, without a budget, may do that."""
        account = await self._bounded(self.ledger.account(key.account_id))
        if account is None or account.kind is AccountKind.PREPAID or key.budgets:
            raise refusal

    async def _submit(self, command: Place) -> Outcome:
        try:
            return await self._bounded(self.ledger.submit(command))
        except (Busy, asyncio.CancelledError):  # cancelled, the gateway stops; the hold may be written all the same
            if self.abandon is not None:
                self.abandon(command)
            raise

    async def _bounded(self, waiting: Coroutine[Any, Any, T]) -> T:
        try:
            return await self.deadline.wait(waiting)
        except (TimeoutError, LedgerUnavailable):
            raise Busy("The gateway cannot write its ledger at the moment, so it takes no requests.") from None


def _further(command: Place, further: Further) -> Place:
    """The hold of a further attempt: limits that count requests count the exchange once."""
    about = json.loads(command.about) | {
        "attempts": [asdict(attempt) for attempt in further.attempts],
        "charge_nanos": further.charge_nanos,
    }
    caps = tuple(cap for cap in command.caps if cap.measure is not Measure.TIMES)
    hold_id = hold_id_of(command.hold_id, further.number)
    return replace(command, hold_id=hold_id, about=json.dumps(about), caps=caps)


def _with_standing(held: Held, first: Held | None) -> Held:
    """The hold with the first one's limits on requests beside its own, for who is told where they stand."""
    if first is None or first.outcome is None or held.outcome is None:
        return held
    pairs = zip(first.caps, first.outcome.counters, strict=False)
    times = [(cap, counter) for cap, counter in pairs if cap.measure is Measure.TIMES]
    counters = (*held.outcome.counters, *(counter for _, counter in times))
    return replace(
        held,
        caps=(*held.caps, *(cap for cap, _ in times)),
        outcome=replace(held.outcome, counters=counters),
    )


def _matters(admission: Admission) -> bool:
    """Whether the exchange may end in a charge, now or when what it starts is read."""
    return admission.place.metered or admission.may_cost


def _is_deferred(admission: Admission) -> bool:
    operation = admission.place.operation
    return admission.ask.deferred or (operation is not None and operation.metering is Metering.DEFERRED)


def _deferred() -> HeadgateError:
    return Forbidden(
        "What this request will cost is not known before it is read again later, so a key with prepaid credit or a "
        "budget cannot make it."
    )


def _unpriced(admission: Admission, route: Route) -> HeadgateError:
    if not admission.place.billed:
        return Forbidden("headgate cannot meter this path, so a key with prepaid credit or a budget cannot use it.")
    return Unpriced(
        f"No price is known for the model '{(route.model or '')[:100]}' of {route.deployment.name}, so a key with "
        "prepaid credit or a budget cannot use it. The operator can set one in [prices.override].",
        param="model",
    )


def _about(admission: Admission, route: Route, opening: Opening) -> str:
    """What the sweep needs for the record of an exchange whose gateway died."""
    place, request, holder, model = admission.place, admission.request, admission.holder, admission.ask.model
    dialect = place.dialect.name if place.dialect is not None else None
    operation = place.operation.name if place.operation is not None else None
    told = _as_ever if len(request.path) + len(model or "") <= _REMEMBERED else _as_ever.__wrapped__
    rest = told(
        request.method, request.path, dialect, operation, route.deployment.name, holder.name, holder.key_id, model,
        admission.ask.stream,
    )  # fmt: skip
    return f'{{"started_at_ns":{opening.started_at_ns},{rest}'


_REMEMBERED = 512
"""Characters of a path and a model's name, at most: clients may send any."""


@lru_cache(maxsize=256)
def _as_ever(*values: str | bool | None) -> str:
    """The rest of it, without its first brace: the same for most of a client's requests."""
    return _json_text(dict(zip(_ABOUT, values, strict=True)))[1:]


def refusal(outcome: Outcome, command: Place) -> HeadgateError:
    """Why a hold could not be placed, for the client."""
    match outcome.result:
        case Result.INSUFFICIENT_CREDIT if outcome.account is not None:
            return _no_credit(outcome.account, command.amount_nanos)
        case Result.OVER_CAP if outcome.cap is not None:
            return _over_cap(outcome.cap, outcome, command.at_ns)
        case Result.NO_SUCH_ACCOUNT | Result.ACCOUNT_CLOSED:
            return Forbidden(f"The account '{command.account_id}' of this key is closed.")
        case _:
            return HeadgateError(f"The hold could not be placed: {outcome.result}.")


def _no_credit(account: Account, needed: int) -> PaymentRequired:
    there = account.available_nanos + (account.limit_nanos or 0)
    return PaymentRequired(
        f"This request may cost up to {dollars_text(needed)}, and the account '{account.account_id}' has "
        f"{dollars_text(there)} available. Add credit, or ask for less output."
    )


def _over_cap(cap: Cap, outcome: Outcome, now_ns: int) -> HeadgateError:
    counter = outcome.counters[0]
    left = max(0, cap.limit - counter.used - counter.held)
    wait = None if cap.ends_at_ns is None else max(1, -(-(cap.ends_at_ns - now_ns) // _NS))
    match cap.measure:
        case Measure.MONEY:
            name = cap.cap_id.removeprefix("budget:")
            return PaymentRequired(
                f"This request may cost up to {dollars_text(cap.amount)}, and the budget '{name}' has "
                f"{dollars_text(left)} left of {dollars_text(cap.limit)}."
            )
        case Measure.PRESENCE:
            return RateLimited(f"The key has {cap.limit} requests under way, which is its limit.")
        case Measure.TIMES:
            told = tuple(standing(b"requests", cap, counter, now_ns))
            return RateLimited(f"The key's limit of {cap.limit} requests is reached.", retry_after=wait, standing=told)
        case Measure.QUANTITY:
            return RateLimited(
                f"The key's limit of {cap.limit} tokens leaves {left}; this request may use {cap.amount}.",
                retry_after=wait,
                standing=tuple(standing(b"tokens", cap, counter, now_ns)),
            )


def standing(name: bytes, cap: Cap, counter: Counter, now_ns: int) -> Iterator[tuple[bytes, bytes]]:
    """`x-ratelimit-{limit,remaining,reset}-NAME`: where a limit stands."""
    yield b"x-ratelimit-limit-" + name, str(cap.limit).encode()
    yield b"x-ratelimit-remaining-" + name, str(max(0, cap.limit - counter.used - counter.held)).encode()
    if cap.ends_at_ns is not None:
        yield b"x-ratelimit-reset-" + name, b"%ds" % max(1, -(-(cap.ends_at_ns - now_ns) // _NS))
