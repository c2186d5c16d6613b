"""A month in the life of a gateway: a plausible history, written through a store's public API.

The same seed and time give the same history. Money is priced from a real price book and moved by real holds, so
records, price lines and entries add up as they do in a gateway; whoever looks at the dashboard sees what an operator
would.
"""

import asyncio
import dataclasses
import json
import random
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.limits import Limits
from headgate.access.virtual import VirtualKey, digest_of, hint_of
from headgate.gateway.settle import Books
from headgate.ledger.commands import Capture, CloseAccount, Command, OpenAccount, Place, Post, Void
from headgate.ledger.entries import AccountKind, EntryKind, Outcome
from headgate.pricing import cost as pricing
from headgate.pricing.book import PriceBook
from headgate.pricing.markup import Markup
from headgate.records import Attempt, Bill, Ending, PriceLine, Record, Settled
from headgate.settlement import OnUpstreamFailure, Settlement, settle
from headgate.usage import Basis, Estimate, Reading, Usage

SECOND, HOUR = 1_000_000_000, 3_600 * 1_000_000_000
DAY = 24 * HOUR
DAYS = 30
DOLLAR = 1_000_000_000
SECRET = b"a secret of the tests' own"
"""What the keys' digests are made with: `[access] secret` of a gateway that is to know them."""
MARKUP = Markup.parse("20%")
NODE = "history"
AT_ONCE = 400
GOLDEN = 0.6180339887
"""Its multiples, less their whole parts, are spread so evenly that some of every band come in any hundred."""

_Picked = TypeVar("_Picked", "Model", "Caller")


class Store(Books, Protocol):
    """A store: books and directory."""

    async def put_key(self, key: VirtualKey) -> None: ...

    async def put_budget(self, budget: Budget) -> None: ...


@dataclass(frozen=True)
class Model:
    """What is asked of a provider, and how much of it."""

    provider: str
    name: str
    share: float
    prompt: int
    """The middling number of input tokens."""
    output: int
    cached: float = 0.0
    """The share of the input that comes from a cache."""
    thinking: float = 0.0
    dialect: str = "openai.chat"
    path: str = "/v1/chat/completions"
    speed: float = 80.0
    """Tokens of output a second."""


ANTHROPIC = {"dialect": "anthropic.messages", "path": "/v1/messages"}
MODELS = (
    Model("openai", "gpt-5-mini", 0.34, 1_800, 420, cached=0.35, thinking=0.3, speed=110),
    Model("anthropic", "claude-sonnet-4-5", 0.2, 5_200, 640, cached=0.6, speed=70, **ANTHROPIC),  # type: ignore[arg-type]
    Model("openai", "gpt-5", 0.1, 2_600, 900, cached=0.3, thinking=0.55, speed=75),
    Model("google", "gemini-2.5-flash", 0.14, 3_100, 380, cached=0.2, thinking=0.2, speed=150),
    Model("groq", "llama-3.3-70b-versatile", 0.09, 900, 260, speed=280),
    Model("anthropic", "claude-haiku-4-5", 0.08, 1_600, 240, cached=0.4, speed=140, **ANTHROPIC),  # type: ignore[arg-type]
    Model("ollama", "qwen3:8b", 0.05, 700, 300, speed=45),
)
OPUS = Model("anthropic", "claude-opus-4-5", 0.0, 11_000, 1_900, cached=0.1, speed=55, **ANTHROPIC)  # type: ignore[arg-type]
"""What yesterday's spike is made of."""


@dataclass(frozen=True)
class Caller:
    """A key and how much is asked with it. Without an account it is the operator's own."""

    name: str
    account: str | None
    share: float
    owner: str = ""
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    limits: Limits = Limits()

    @property
    def key_id(self) -> str | None:
        return None if self.account is None else f"key_{self.name.replace('-', '')}"

    @property
    def text(self) -> str:
        """What its holder sends."""
        return f"hg-history-{self.name}-0123456789"


CALLERS = (
    Caller("acme-web", "acme", 0.3, "web@acme.example", ("web", "production"), limits=Limits(requests_per_minute=600)),
    Caller("acme-batch", "acme", 0.14, "data@acme.example", ("batch", "production"), limits=Limits(concurrent=40)),
    Caller("globex-app", "globex", 0.22, "app@globex.example", ("web",), ("gpt-*", "claude-*", "gemini-*")),
    Caller("initech-support", "initech", 0.13, "help@initech.example", ("support", "production")),
    Caller("research-notebooks", "research", 0.11, "lab@research.example", ("research",)),
    Caller("ci", None, 0.1),
)
SPIKE = CALLERS[1]
RETIRED = Caller("globex-old", "globex", 0.0, "app@globex.example", ("web",))
BUDGETS = (
    (Scope.ACCOUNT, "acme", Window.MONTH, 40), (Scope.KEY, "key_acmebatch", Window.DAY, 5),
    (Scope.ACCOUNT, "research", Window.MONTH, 12), (Scope.TAG, "web", Window.MONTH, 45),
    (Scope.TAG, "production", Window.WEEK, 25), (Scope.KEY, "key_initechsupport", Window.TOTAL, 500),
)  # fmt: skip


@dataclass(frozen=True)
class History:
    """One month up to a moment, in nanoseconds since the epoch."""

    now_ns: int
    book: PriceBook
    exchanges: int = 8_000
    seed: int = 1
    days: int = DAYS

    @property
    def since_ns(self) -> int:
        return self.now_ns - self.days * DAY

    def records(self) -> list[Record]:
        """All records, oldest first.

        What each is like depends on the seed and on its place alone: another moment only moves them in time.
        """
        spike_at = (self.now_ns // DAY - 1) * DAY + 13 * HOUR
        plain = [self._asked(n, at) for n, at in enumerate(self._times())]
        spike = [
            dataclasses.replace(self._asked(self.exchanges + n, spike_at + at), model=OPUS, caller=SPIKE)
            for n, at in enumerate(self._chance("spike").sample(range(2 * HOUR), self.exchanges // 160))
        ]
        asked = sorted([*plain, *spike], key=lambda one: one.at)
        return [
            _record(one, f"ex_{self.seed:02x}{n:06x}", self.book)
            for n, one in enumerate(asked)
            if one.at < self.now_ns - 5 * SECOND
        ]

    def _chance(self, of: object) -> random.Random:
        return random.Random(f"{self.seed} {of}")

    def _asked(self, n: int, at: int) -> "_Asked":
        chance = self._chance(n)
        return _Asked(n, at, _pick(chance, MODELS), _pick(chance, CALLERS), chance)

    def _times(self) -> list[int]:
        """In order; busier by day than by night, on workdays than at weekends, and now than a month ago."""
        chance, times = self._chance("times"), list[int]()
        while len(times) < self.exchanges:
            at = self.since_ns + chance.randrange(self.days * DAY)
            hour, weekday = at // HOUR % 24, (at // DAY + 3) % 7
            busy = (1.0 if 7 <= hour <= 19 else 0.25) * (1.0 if weekday < 5 else 0.4)
            grown = 0.5 + 0.5 * (at - self.since_ns) / (self.days * DAY)
            if chance.random() < busy * grown:
                times.append(at)
        return sorted(times)


async def fill(store: Store, history: History) -> int:
    """Write a history into an empty store; the number of its records."""
    await _open(store, history)
    budgets = _budgets()
    for budget in budgets:
        await store.put_budget(budget)
    records = history.records()
    for start in range(0, len(records), AT_ONCE):
        some = records[start : start + AT_ONCE]
        await _submit(store, [_place(record, budgets) for record in some if record.bill.hold_nanos is not None])
        await _all(store.settle(_resolution(record), record) for record in some if record.bill.hold_nanos is not None)
        for record in some:
            if record.bill.hold_nanos is None:
                store.append(record)
    await _submit(store, [CloseAccount("hooli", history.now_ns - 9 * DAY)])
    return len(records)


async def _open(store: Store, history: History) -> None:
    """Accounts, what was paid in, and keys."""
    since, prepaid = history.since_ns, AccountKind.PREPAID
    await _submit(store, [
        OpenAccount("acme", prepaid, since), OpenAccount("globex", prepaid, since),
        OpenAccount("initech", AccountKind.POSTPAID, since, 400 * DOLLAR), OpenAccount("research", prepaid, since),
        OpenAccount("hooli", prepaid, since),
        Post("invoice-2041", "acme", EntryKind.TOP_UP, 150 * DOLLAR, since, "invoice 2041"),
        Post("invoice-2057", "acme", EntryKind.TOP_UP, 150 * DOLLAR, since + 14 * DAY, "invoice 2057"),
        Post("stripe-ch_81", "globex", EntryKind.TOP_UP, 120 * DOLLAR, since, "card"),
        Post("grant-7", "research", EntryKind.TOP_UP, 75 * DOLLAR, since, "grant 7"),
        Post("slip-1", "research", EntryKind.CORRECTION, -5 * DOLLAR, since + 3 * DAY, "paid in twice"),
        Post("trial", "hooli", EntryKind.TOP_UP, 5 * DOLLAR, since, "trial"),
    ])  # fmt: skip
    for n, caller in enumerate((*CALLERS, RETIRED)):
        key = _key(caller, since + n * HOUR)
        if key is not None:
            revoked = since + 20 * DAY if caller is RETIRED else None
            await store.put_key(replace(key, revoked_at_ns=revoked))


def _key(caller: Caller, created_at_ns: int) -> VirtualKey | None:
    if caller.account is None or caller.key_id is None:
        return None
    return VirtualKey(
        caller.key_id, caller.name, caller.account, digest_of(caller.text.encode(), SECRET), hint_of(caller.text),
        created_at_ns, caller.owner, caller.tags, caller.models, limits=caller.limits,
    )  # fmt: skip


def _budgets() -> list[Budget]:
    return [Budget(f"{s}:{subject}:{w}", s, subject, w, dollars * DOLLAR) for s, subject, w, dollars in BUDGETS]


def _place(record: Record, budgets: Iterable[Budget]) -> Place:
    amount, at = record.bill.hold_nanos or 0, record.started_at_ns
    tags = next((caller.tags for caller in CALLERS if caller.name == record.key), ())
    subjects = {record.key_id, record.bill.account, *tags}
    caps = tuple(budget.cap(at, amount) for budget in budgets if budget.subject in subjects)
    # A budget that was set later than this was spent bounds nothing of it.
    caps = tuple(replace(cap, limit=10**6 * DOLLAR) for cap in caps)
    about = json.dumps({"key": record.key, "key_id": record.key_id})
    return Place(record.exchange_id, record.bill.account or "", amount, at, NODE, sent=True, about=about, caps=caps)


def _resolution(record: Record) -> Capture | Void:
    account, at = record.bill.account or "", record.started_at_ns + record.total_ns
    if record.bill.settled is Settled.CAPTURED:
        return Capture(record.exchange_id, account, record.bill.charge_nanos or 0, at, note=str(record.ending))
    return Void(record.exchange_id, account, at, str(record.ending))


async def _submit(store: Store, commands: Sequence[Command]) -> None:
    for outcome in await _all(store.submit(command) for command in commands):
        assert outcome.stands, outcome


async def _all(waiting: Iterable[Coroutine[Any, Any, Outcome]]) -> list[Outcome]:
    return await asyncio.gather(*waiting)


# One exchange


def _pick(chance: random.Random, of: Sequence[_Picked]) -> _Picked:
    return chance.choices(of, [one.share for one in of])[0]


@dataclass(frozen=True)
class _Asked:
    n: int
    at: int
    model: Model
    caller: Caller
    chance: random.Random


def _record(asked: _Asked, exchange_id: str, book: PriceBook) -> Record:
    at, model, caller, chance = asked.at, asked.model, asked.caller, asked.chance
    ending, status, basis = _fate(chance, model, asked.n)
    usage = _usage(chance, model)
    reading = _reading(asked, exchange_id, ending, basis, usage)
    error = _error(ending, status, model)
    settlement = settle(ending, reading, OnUpstreamFailure.DELIVERED, prompt_tokens=usage.input_tokens or 0)
    first, total = _times_of(chance, model, ending, usage)
    sent = ending is not Ending.NEVER_SENT
    failed_first = sent and ending is Ending.COMPLETE and chance.random() < 0.004
    attempts: tuple[Attempt, ...] = (
        Attempt(model.provider, status if ending is not Ending.UPSTREAM_CUT else 200, 2_000_000, total, error),
    )
    if failed_first:
        attempts = (Attempt(model.provider, None, 1_000_000, 9_000_000, "the connection was refused"), *attempts)
    return Record(
        exchange_id=exchange_id, started_at_ns=at, method="POST", path=model.path, dialect=model.dialect,
        operation="create", provider=model.provider, key=caller.name, model_asked=model.name,
        streamed=chance.random() < 0.8, status=status, ending=ending, reading=reading, billable=True, counted=sent,
        first_byte_ns=first, total_ns=total, bytes_in=9 * reading.delivered_bytes,
        bytes_out=9 * reading.delivered_bytes,
        attempts=attempts if sent else (), error=error, key_id=caller.key_id,
        bill=_bill(asked, settlement, reading, book),
    )  # fmt: skip


def _fate(chance: random.Random, model: Model, n: int) -> tuple[Ending, int, Basis]:
    """How it ends; a provider that reports nothing has its figures estimated. Each day has some of each."""
    silent = model.provider == "groq" and chance.random() < 0.06
    dice = n * GOLDEN % 1
    for below, ending, status, basis in (
        (0.012, Ending.REFUSED, 429, Basis.NONE), (0.017, Ending.REFUSED, 400, Basis.NONE),
        (0.021, Ending.NEVER_SENT, 402, Basis.NONE), (0.024, Ending.NEVER_SENT, 502, Basis.NONE),
        (0.045, Ending.CLIENT_LEFT, 200, Basis.PARTIAL), (0.052, Ending.CLIENT_LEFT, 200, Basis.ESTIMATED),
        (0.058, Ending.UPSTREAM_CUT, 200, Basis.ESTIMATED), (0.061, Ending.UPSTREAM_ERROR, 200, Basis.PARTIAL),
        (0.064, Ending.INCOMPLETE, 200, Basis.NONE),
    ):  # fmt: skip
        if dice < below:
            return ending, status, basis
    return Ending.COMPLETE, 200, Basis.ESTIMATED if silent else Basis.REPORTED


def _usage(chance: random.Random, model: Model) -> Usage:
    prompt = max(20, int(chance.lognormvariate(0, 0.6) * model.prompt))
    output = max(5, int(chance.lognormvariate(0, 0.7) * model.output))
    cached = int(prompt * model.cached * chance.random() * 1.4) if model.cached else None
    written = int(prompt * 0.1) if model.provider == "anthropic" and chance.random() < 0.3 else None
    thinking = int(output * model.thinking * chance.random() * 1.6) if model.thinking else None
    return Usage(
        input_tokens=prompt,
        cache_read_tokens=None if cached is None else min(cached, prompt * 3 // 4),
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=None if thinking is None else min(thinking, output),
    )


def _reading(asked: _Asked, exchange_id: str, ending: Ending, basis: Basis, usage: Usage) -> Reading:
    if basis is Basis.NONE:
        return Reading()
    whole = ending is Ending.COMPLETE
    return Reading(
        usage={Basis.REPORTED: usage, Basis.PARTIAL: _so_far(asked, usage)}.get(basis, Usage()),
        basis=basis,
        estimate=None if basis is Basis.REPORTED else Estimate(usage.input_tokens, usage.output_tokens),
        served_model=asked.model.name,
        response_id=f"resp-{exchange_id}",
        finish_reason="stop" if whole else None,
        terminal_evidence="[DONE]" if whole else None,
        in_stream_error="overloaded_error: Overloaded" if ending is Ending.UPSTREAM_ERROR else None,
        delivered_bytes=4 * (usage.output_tokens or 0),
        anomalies={} if basis is not Basis.ESTIMATED or not whole else {"no_usage_frame": 1},
    )


def _so_far(asked: _Asked, usage: Usage) -> Usage:
    """What a provider had counted when a stream broke off; an estimate of the whole is less as often as more."""
    prompt = int((usage.input_tokens or 0) * asked.chance.uniform(0.8, 1.2))
    output = int((usage.output_tokens or 0) * asked.chance.uniform(0.5, 1.5))
    return Usage(input_tokens=prompt, output_tokens=output if asked.n % 3 else None)


def _error(ending: Ending, status: int, model: Model) -> str | None:
    match ending, status:
        case Ending.NEVER_SENT, 402:
            return "insufficient_credit: This request may cost up to $0.42, and the account has $0.10 available."
        case Ending.NEVER_SENT, _:
            return f"upstream_unreachable: {model.provider} could not be reached."
        case Ending.UPSTREAM_CUT, _:
            return f"upstream_cut: {model.provider} closed the connection before the end."
        case _:
            return None


def _times_of(chance: random.Random, model: Model, ending: Ending, usage: Usage) -> tuple[int | None, int]:
    """First byte, and the whole, in nanoseconds."""
    if ending is Ending.NEVER_SENT:
        return None, int(chance.uniform(1, 12) * 1_000_000)
    first = int(chance.lognormvariate(-0.8, 0.5) * SECOND)
    if ending is Ending.REFUSED:
        return first // 3, first // 3 + 400_000
    return first, first + int((usage.output_tokens or 0) / model.speed * SECOND)


def _bill(asked: _Asked, settlement: Settlement, reading: Reading, book: PriceBook) -> Bill:
    at, model, caller = asked.at, asked.model, asked.caller
    account = caller.account if model.provider != "ollama" else None
    if settlement.usage.is_empty and not settlement.flags:
        nothing = Bill(account=account, cost_nanos=0)
        return nothing if account is None else replace(
            nothing, hold_nanos=20_000_000, charge_nanos=0, settled=Settled.VOIDED
        )  # fmt: skip
    cost = pricing.cost(settlement.usage, model.provider, model.name, book, at, {})
    charge = pricing.charge(cost, MARKUP) if settlement.charged else 0
    hold = None if account is None else max(20_000_000, (cost.nanos or 0) * (2 if len(reading.anomalies) else 5))
    flags = (*settlement.flags, *(f"unpriced:{name}" for name in cost.unpriced))
    if hold is not None and model is OPUS and at % 7 == 0 and charge:
        hold, flags = charge * 3 // 4, (*flags, "overrun")
    lines = tuple(PriceLine(x.unit, str(x.quantity), str(x.rate.dollars), x.rate.per, x.leg) for x in cost.lines)
    return Bill(
        account=account, hold_nanos=hold, cost_nanos=cost.nanos, charge_nanos=None if account is None else charge,
        settled=None if account is None else Settled.CAPTURED if settlement.charged else Settled.VOIDED,
        price_source=str(cost.source), price_version=cost.version, lines=lines, flags=flags,
    )  # fmt: skip
