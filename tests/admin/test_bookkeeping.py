"""The books, checked by themselves: when, what is remembered, and what is counted of ended exchanges."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from headgate.admin.bookkeeping import Bookkeeping, Since
from headgate.admin.books import Finding, Verdict
from headgate.errors import Busy
from headgate.ledger.store import Sums
from headgate.records import Bill, Ending, Settled
from tests.admin.serving import NOON_NS, Clock
from tests.stores.examples import a_record


def findings(**verdicts: Verdict) -> list[Finding]:
    return [Finding(name, verdict, Sums(0, 0), Sums(0, 0), 0) for name, verdict in verdicts.items()]


class Checking:
    """A check that finds what it is told to, and can be held up."""

    def __init__(self, found: list[Finding]) -> None:
        self.found = found
        self.checks = 0
        self.at_once = 0
        self.most_at_once = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: Exception | None = None

    async def __call__(self) -> list[Finding]:
        self.checks += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.go_on.wait()
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return self.found


def keeping(check: Checking, monotonic_ns: Callable[[], int] = lambda: 0, **more: float) -> Bookkeeping:
    return Bookkeeping(check, Clock(), monotonic_ns, **more)


@pytest.mark.parametrize(
    ("found", "balanced", "wrong"),
    [
        (findings(), True, ()),
        (findings(a=Verdict.RIGHT, b=Verdict.RIGHT), True, ()),
        (findings(a=Verdict.WRONG, b=Verdict.RIGHT, c=Verdict.WRONG), False, ("a", "c")),
    ],
)
async def test_what_a_check_says(found: list[Finding], balanced: bool, wrong: tuple[str, ...]) -> None:
    times = iter([1_000, 51_000])
    books = keeping(Checking(found), lambda: next(times))
    assert await books.check() == found
    last = books.last
    assert last is not None
    assert (last.balanced, last.wrong, last.accounts) == (balanced, wrong, len(found))
    assert (last.at_ns, last.took_ns) == (NOON_NS, 50_000)


async def test_books_that_are_wrong_are_told_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    check = Checking(findings(acme=Verdict.WRONG))
    books = keeping(check)
    await books.check()
    await books.check()
    assert caplog.text.count("do not add up, in the accounts acme") == 1


async def test_one_check_at_a_time() -> None:
    check = Checking(findings())
    books = keeping(check)
    check.go_on.clear()
    both = asyncio.gather(books.check(), books.check())
    await asyncio.sleep(0.01)
    assert check.checks == 1
    check.go_on.set()
    await both
    assert (check.checks, check.most_at_once) == (2, 1)


async def test_it_checks_now_and_then_by_itself() -> None:
    check = Checking(findings())
    books = keeping(check, first_seconds=0.001, every_seconds=0.001)
    books.start()
    while check.checks < 3:
        await asyncio.sleep(0.001)
    await books.aclose()
    checks = check.checks
    await asyncio.sleep(0.01)
    assert check.checks == checks


async def test_a_database_that_cannot_be_asked_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    check = Checking(findings())
    check.error = Busy("the file cannot be read")
    books = keeping(check, first_seconds=0.001, every_seconds=0.001)
    books.start()
    while check.checks < 2:
        await asyncio.sleep(0.001)
    assert "could not be checked: the file cannot be read" in caplog.text
    assert [books.last] == [None]
    check.error = None
    while books.last is None:
        await asyncio.sleep(0.001)
    await books.aclose()


async def test_a_long_check_is_followed_by_a_long_rest() -> None:
    check = Checking(findings())
    at = 0

    def hours() -> int:
        nonlocal at
        at += 3600 * 10**9
        return at

    books = keeping(check, hours, first_seconds=0.001, every_seconds=0.001)
    books.start()
    while not check.checks:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    assert check.checks == 1, "the next one is in sixty hours"
    await books.aclose()


def test_what_came_up_is_counted() -> None:
    since = Since()
    for bill in [
        Bill(),
        Bill(settled=Settled.DISPUTED),
        Bill(flags=("estimated", "overrun", "unpriced:web_search", "unpriced:other")),
        Bill(flags=("estimated",)),
    ]:
        since.saw(replace(a_record("x"), bill=bill))
    since.saw(replace(a_record("x"), ending=Ending.GATEWAY_DIED))
    since.saw(replace(a_record("x"), ending=Ending.GATEWAY_FAILED))
    assert (since.exchanges, since.disputed, since.orphans, since.faults) == (6, 1, 1, 1)
    assert since.flags == {"estimated": 2, "overrun": 1, "unpriced": 1}
