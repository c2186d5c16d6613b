"""Office: what an operator does with accounts, credit, keys and budgets. The API and the commands only speak for it.

Holds can be looked at here and never resolved: a stuck one is the sweep's, which knows whether anything was sent.
Amounts are integer nano-dollars, times nanoseconds since the epoch.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec.structs import replace

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.directory import Directory
from headgate.access.virtual import RANDOM_BYTES, VirtualKey, digest_of, hint_of, key_text
from headgate.admin import texts
from headgate.admin.books import Finding, check_books
from headgate.admin.terms import KeyTerms, check_terms, is_good, terms_of
from headgate.errors import BadRequest, Busy, HeadgateError, NotFound, Source
from headgate.ledger.commands import CloseAccount, Command, OpenAccount, Post
from headgate.ledger.entries import Account, AccountKind, Entry, EntryKind, Hold, Outcome, Result
from headgate.ledger.machine import LARGEST_NANOS
from headgate.ledger.store import Ledger, LedgerUnavailable

_T = TypeVar("_T")


class Conflict(HeadgateError):
    """It contradicts what is there already."""

    source, status, code = Source.CLIENT, 409, "conflict"


@dataclass(frozen=True, slots=True)
class Posting:
    """A top-up or correction that stands in the books."""

    entry_id: str
    account: Account
    repeated: bool
    """It stood there already: this call changed nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget, and how full it is now."""

    budget: Budget
    used_nanos: int
    held_nanos: int
    """Set aside by requests under way."""
    ends_at_ns: int | None
    """When the window ends; None for one without an end."""


class Office:
    """Does what an operator asks. Raises BadRequest, NotFound, Conflict, and Busy if the store cannot write."""

    def __init__(
        self,
        ledger: Ledger,
        directory: Directory,
        secret: bytes,
        clock_ns: Callable[[], int],
        random: Callable[[int], bytes],
        *,
        patience_seconds: float = 30.0,
    ) -> None:
        """`secret` is what digests of keys are made with; `random` gives so many random bytes."""
        self._ledger = ledger
        self._directory = directory
        self._secret = secret
        self._clock_ns = clock_ns
        self._random = random
        self._patience_seconds = patience_seconds
        self._changing_keys = asyncio.Lock()

    # Accounts and money

    async def open_account(
        self, account_id: str, kind: AccountKind | None = None, limit_nanos: int | None = None
    ) -> tuple[Account, bool]:
        """Open, reopen or change an account; True if it is new.

        Without a kind, an account that is there keeps its kind, and its limit if none is given; a new one is prepaid.
        """
        known = await self._ledger.account(texts.name(account_id, "account"))
        if kind is None:
            kind = AccountKind.PREPAID if known is None else known.kind
            limit_nanos = known.limit_nanos if known is not None and limit_nanos is None else limit_nanos
        if limit_nanos is not None and kind is not AccountKind.POSTPAID:
            raise BadRequest("`limit_usd`: only a postpaid account has a limit.", param="limit_usd")
        outcome = await self._submit(OpenAccount(account_id, kind, self._clock_ns(), limit_nanos))
        return _account_of(outcome, account_id, "limit_usd"), known is None

    async def close_account(self, account_id: str) -> Account:
        """Let an account place no more holds. What runs is settled as ever, and its balance stays."""
        outcome = await self._submit(CloseAccount(texts.name(account_id, "account"), self._clock_ns()))
        return _account_of(outcome, account_id, "account")

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""
        return await self._ledger.accounts()

    async def account(self, account_id: str) -> Account:
        """An account. Raises NotFound."""
        account = await self._ledger.account(texts.name(account_id, "account"))
        if account is None:
            raise _no_account(account_id)
        return account

    async def top_up(self, account_id: str, amount_nanos: int, entry_id: str | None = None, note: str = "") -> Posting:
        """Pay in. An id of the caller's makes it safe to repeat; the same id with another amount is a Conflict."""
        return await self._post(account_id, EntryKind.TOP_UP, amount_nanos, entry_id, note)

    async def correct(self, account_id: str, amount_nanos: int, entry_id: str | None = None, note: str = "") -> Posting:
        """Correct a balance, up or down; the note says why and may not be empty."""
        texts.checked(note, texts.REASON, "note", "a line of at most 500 characters that says why")
        return await self._post(account_id, EntryKind.CORRECTION, amount_nanos, entry_id, note)

    async def entries(
        self, account_id: str | None = None, hold_id: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        """Entries of an account or a hold with their serial numbers, newest first. Raises NotFound if there is none."""
        if account_id is not None:
            await self.account(account_id)
        if hold_id is not None:
            await self.hold(hold_id)
        return await self._ledger.entries(account_id, hold_id, limit, before)

    async def hold(self, hold_id: str) -> Hold:
        """A hold, open or resolved. Raises NotFound."""
        hold = await self._ledger.hold(texts.name(hold_id, "hold"))
        if hold is None:
            raise NotFound(f"There is no hold '{hold_id}'.")
        return hold

    async def open_holds(self, account_id: str | None = None) -> list[Hold]:
        """The holds that are not resolved, oldest first."""
        holds = await self._ledger.open_holds()
        return [hold for hold in holds if account_id is None or hold.account_id == account_id]

    async def check(self, *, every: bool = False) -> list[Finding]:
        """Whether each account's entries and open holds add up to its balances; see `check_books`."""
        return await check_books(self._ledger, every=every)

    # Keys

    async def create_key(self, terms: KeyTerms) -> tuple[VirtualKey, str]:
        """A new key, and its text, which is kept nowhere: this is the only time it is seen."""
        now_ns = self._clock_ns()
        if terms.expires_at_ns is not None and terms.expires_at_ns <= now_ns:
            raise Conflict("`expires_at`: expected a time to come.", param="expires_at")
        text = key_text(self._random(RANDOM_BYTES))
        key = VirtualKey(
            key_id=f"key_{self._random(8).hex()}",
            name=terms.name,
            account_id=terms.account_id,
            digest=digest_of(text.encode(), self._secret),
            hint=hint_of(text),
            created_at_ns=now_ns,
        )
        async with self._changing_keys:
            await self._put(await self._with_terms(key, terms))
        return await self.key(key.key_id), text

    async def change_key(self, key_id: str, change: Callable[[KeyTerms], KeyTerms]) -> VirtualKey:
        """Change what was decided about a key; its text stays good. A revoked one cannot be changed."""
        async with self._changing_keys:
            key = await self.key(key_id)
            if key.revoked_at_ns is not None:
                raise Conflict(f"The key '{key.name}' has been revoked.")
            await self._put(await self._with_terms(key, change(terms_of(key))))
        return await self.key(key_id)

    async def revoke_key(self, key_id: str) -> VirtualKey:
        """Make a key good for nothing, at once and for good. A repeat changes nothing."""
        async with self._changing_keys:
            key = await self.key(key_id)
            if key.revoked_at_ns is None:
                await self._put(replace(key, revoked_at_ns=self._clock_ns()))
        return await self.key(key_id)

    async def keys(self, account_id: str | None = None) -> list[VirtualKey]:
        """All keys, revoked and expired ones too, the newest first."""
        keys = await self._directory.keys()
        return [key for key in keys if account_id is None or key.account_id == account_id]

    async def key(self, key_id: str) -> VirtualKey:
        """A key by its id. Raises NotFound."""
        key = await self._directory.key(texts.name(key_id, "key"))
        if key is None:
            raise NotFound(f"There is no key '{key_id}'.")
        return key

    async def find_key(self, ref: str) -> VirtualKey:
        """A key by its id or, for people, by its name, where that names one. Raises NotFound, Conflict."""
        key = await self._directory.key(texts.name(ref, "key"))
        if key is not None:
            return key
        named = [key for key in await self._directory.keys() if key.name == ref]
        now_ns = self._clock_ns()
        good = [key for key in named if is_good(key, now_ns)] or named
        if len(good) > 1:
            raise Conflict(f"There are {len(good)} keys named '{ref}'; say which by its id: {_ids(good)}.")
        return good[0] if good else await self.key(ref)

    # Budgets

    async def put_budget(self, scope: Scope, subject: str, window: Window, limit_nanos: int) -> Standing:
        """Bound what a key (by id), an account or a tag spends in a window; in place of the bound there was."""
        match scope:
            case Scope.KEY:
                await self.key(subject)
            case Scope.ACCOUNT:
                await self.account(subject)
            case Scope.TAG:
                texts.name(subject, "subject")
        if not 0 <= limit_nanos <= LARGEST_NANOS:
            raise BadRequest(f"`limit_usd`: expected 0 to {_LARGEST_USD}.", param="limit_usd")
        budget = Budget(_budget_id(scope, subject, window), scope, subject, window, limit_nanos)
        await self._write(self._directory.put_budget(budget))
        return (await self._standings([budget]))[0]

    async def remove_budget(self, scope: Scope, subject: str, window: Window) -> None:
        """Bound it no more. Raises NotFound."""
        if not await self._write(self._directory.remove_budget(_budget_id(scope, subject, window))):
            raise NotFound(f"There is no budget for the {scope} '{subject[:100]}' and the window '{window}'.")

    async def budgets(self, scope: Scope | None = None, subject: str | None = None) -> list[Standing]:
        """All budgets by id, with how full they are; or those of a scope, or a subject."""
        budgets = await self._directory.budgets()
        wanted = [b for b in budgets if scope in {None, b.scope} and subject in {None, b.subject}]
        return await self._standings(wanted)

    async def budgets_of(self, key: VirtualKey) -> list[Standing]:
        """All that bind a key: its own, its account's and its tags'."""
        return await self._standings([budget for budget in await self._directory.budgets() if key.bound_by(budget)])

    async def _standings(self, budgets: list[Budget]) -> list[Standing]:
        now_ns = self._clock_ns()
        caps = {budget.budget_id: budget.cap(now_ns, 0) for budget in budgets}
        ids = tuple(cap.cap_id for cap in caps.values())
        counters = {c.cap_id: c for c in await self._ledger.counters(ids)} if ids else {}
        standings = []
        for budget in budgets:
            cap = caps[budget.budget_id]
            counter = counters.get(cap.cap_id)
            used, held = (0, 0) if counter is None else (counter.used, counter.held)
            standings.append(Standing(budget, used, held, cap.ends_at_ns))
        return standings

    # How

    async def _post(
        self, account_id: str, kind: EntryKind, amount_nanos: int, entry_id: str | None, note: str
    ) -> Posting:
        if entry_id is None:
            entry_id = f"{kind}-{self._random(12).hex()}"
        wanted = "1 to 200 letters, digits and any of . _ = + / -, beginning with a letter or digit"
        texts.checked(entry_id, texts.ENTRY_ID, "id", wanted)
        texts.name(account_id, "account")
        post = Post(entry_id, account_id, kind, amount_nanos, self._clock_ns(), texts.note(note, "note"))
        outcome = await self._submit(post)
        if outcome.result is Result.EXISTS_WITH_DIFFERENT_AMOUNT:
            what = kind.replace("_", "-")
            raise Conflict(
                f"'{entry_id}' is in the books already, and is not a {what} of this amount to this account. "
                "Nothing was changed.",
                param="id",
            )
        return Posting(entry_id, _account_of(outcome, account_id, "amount_usd"), outcome.result is Result.EXISTS)

    async def _with_terms(self, key: VirtualKey, terms: KeyTerms) -> VirtualKey:
        """The key on those terms, if they are good ones."""
        check_terms(terms)
        account = await self._ledger.account(terms.account_id)
        if account is None:
            raise NotFound(f"`account`: there is no account '{terms.account_id}'.", param="account")
        now_ns = self._clock_ns()
        for other in await self._directory.keys():
            if other.name == terms.name and other.key_id != key.key_id and is_good(other, now_ns):
                raise Conflict(f"There is a key named '{terms.name}' already: {other.key_id}.", param="name")
        return replace(key, **{name: getattr(terms, name) for name in KeyTerms.__slots__})

    async def _put(self, key: VirtualKey) -> None:
        await self._write(self._directory.put_key(key))

    async def _submit(self, command: Command) -> Outcome:
        return await self._write(self._ledger.submit(command))

    async def _write(self, writing: Coroutine[Any, Any, _T]) -> _T:
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await writing
        except (TimeoutError, LedgerUnavailable) as error:  # closed in the middle of a commit, too
            raise Busy(
                "The database has not taken the change yet, and may still take it: look before you repeat it, or "
                "repeat it with the same id."
            ) from error


_LARGEST_USD = texts.usd_from_nanos(LARGEST_NANOS)


def _account_of(outcome: Outcome, account_id: str, amount_param: str) -> Account:
    """The account that a command left. Raises what the command was refused for."""
    if outcome.stands and outcome.account is not None:
        return outcome.account
    if outcome.result is Result.NO_SUCH_ACCOUNT:
        raise _no_account(account_id)
    if outcome.result is Result.BAD_AMOUNT:
        raise BadRequest(
            f"`{amount_param}`: not an amount for this: a top-up is above 0, a correction is not 0, a limit is not "
            f"below 0, and no amount or balance goes beyond {_LARGEST_USD}.",
            param=amount_param,
        )
    raise Conflict(f"The ledger refused: {outcome.result}.")


def _no_account(account_id: str) -> NotFound:
    return NotFound(f"There is no account '{account_id}'.")


def _budget_id(scope: Scope, subject: str, window: Window) -> str:
    """One budget for each of these: of two the lower would decide. So a repeat is the same budget and counter."""
    return f"{scope}:{subject}:{window}"


def _ids(keys: list[VirtualKey]) -> str:
    return ", ".join(key.key_id for key in keys)
