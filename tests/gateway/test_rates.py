import pytest

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.limits import Limits
from headgate.gateway.hold import Held
from headgate.gateway.rates import rate_headers, without_rates
from headgate.ledger.commands import OpenAccount, Place
from headgate.ledger.entries import AccountKind
from headgate.ledger.machine import Books

from .fakes import (
    BEARER,
    CHAT,
    DONE,
    FINISH,
    FIRST,
    KEY_ID,
    NOW_NS,
    SSE,
    USAGE,
    FakeClient,
    ok,
    post,
    stage,
)

MINUTE = 60 * 10**9
"""NOW_NS is the first instant of one, at 8 o'clock in the morning."""
THEIRS = [
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-remaining-tokens", b"199000"),
    (b"x-ratelimit-reset-tokens", b"6m0s"),
    (b"anthropic-ratelimit-requests-remaining", b"49"),
]
RETRY = (b"retry-after", b"3")
PROMPT, OUTPUT = -(-len(CHAT) // 4), 32_768
"""Tokens that CHAT sets aside."""


def placed(limits: Limits, *tokens: int, now_ns: int = NOW_NS) -> Held:
    """The last of some holds of a key."""
    books = Books()
    books.apply(OpenAccount("a", AccountKind.POSTPAID, 0))
    for n, count in enumerate(tokens):
        caps = tuple(limits.caps("k", now_ns, count))
        outcome = books.apply(Place(str(n), "a", 0, now_ns, "node", caps=caps))
    return Held(str(n), "a", 0, sent=True, caps=caps, outcome=outcome)


def told(held: Held | None, now_ns: int = NOW_NS) -> dict[str, str]:
    prefix = "x-ratelimit-"
    pairs = [(name.decode(), value.decode()) for name, value in rate_headers(held, now_ns)]
    assert all(name.startswith(prefix) for name, _ in pairs)
    assert len(dict(pairs)) == len(pairs)
    return {name.removeprefix(prefix): value for name, value in pairs}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), {}),
        (Limits(concurrent=5), {}),
        (Limits(requests_per_minute=5), {"limit-requests": "5", "remaining-requests": "3", "reset-requests": "60s"}),
        (Limits(requests_per_day=5), {"limit-requests": "5", "remaining-requests": "3", "reset-requests": "57600s"}),
        (
            Limits(requests_per_minute=5, requests_per_day=2),  # the minute's, where there are both
            {"limit-requests": "5", "remaining-requests": "3", "reset-requests": "60s"},
        ),
        (
            Limits(tokens_per_minute=100, requests_per_day=5, concurrent=9),
            {
                "limit-requests": "5", "remaining-requests": "3", "reset-requests": "57600s",
                "limit-tokens": "100", "remaining-tokens": "63", "reset-tokens": "60s",
            },
        ),
        (Limits(tokens_per_day=37), {"limit-tokens": "37", "remaining-tokens": "0", "reset-tokens": "57600s"}),
    ],
)  # fmt: skip
def test_where_a_key_stands_with_its_own_request_taken_off(limits: Limits, expected: dict[str, str]) -> None:
    assert told(placed(limits, 30, 7)) == expected


@pytest.mark.parametrize(("into_ns", "reset"), [(0, "60s"), (1, "60s"), (10**9, "59s"), (MINUTE - 1, "1s")])
def test_whole_seconds_until_the_window_ends(into_ns: int, reset: str) -> None:
    held = placed(Limits(requests_per_minute=5), 1, now_ns=NOW_NS + into_ns)
    assert told(held, NOW_NS + into_ns)["reset-requests"] == reset


def test_without_a_hold_there_is_nothing_to_tell() -> None:
    assert told(None) == {}
    assert told(Held("h", "a", 0, sent=True)) == {}


def test_a_providers_figures_are_about_the_operators_account_with_it() -> None:
    other = [(b"content-type", b"x"), RETRY, (b"x-request-id", b"r")]
    assert without_rates([*other, *THEIRS]) == other


async def headers_of(limits: Limits, *budgets: Budget) -> list[tuple[bytes, bytes]]:
    scene = await stage(ok(FIRST, FINISH, USAGE, DONE, headers=[*SSE, *THEIRS])).with_key(limits=limits)
    for budget in budgets:
        await scene.store.put_budget(budget)
    client = FakeClient()
    await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
    assert client.status == 200
    return [pair for pair in client.headers if b"ratelimit" in pair[0]]


async def test_a_key_with_limits_is_told_its_own_and_not_the_providers() -> None:
    assert await headers_of(Limits(requests_per_minute=5, tokens_per_minute=100_000)) == [
        (b"x-ratelimit-limit-requests", b"5"),
        (b"x-ratelimit-remaining-requests", b"4"),
        (b"x-ratelimit-reset-requests", b"60s"),
        (b"x-ratelimit-limit-tokens", b"100000"),
        (b"x-ratelimit-remaining-tokens", str(100_000 - PROMPT - OUTPUT).encode()),
        (b"x-ratelimit-reset-tokens", b"60s"),
    ]


async def test_others_are_told_the_providers() -> None:
    assert await headers_of(Limits()) == THEIRS
    assert await headers_of(Limits(concurrent=5)) == THEIRS
    assert await headers_of(Limits(), Budget("b", Scope.KEY, KEY_ID, Window.DAY, 10**12)) == THEIRS
    scene, client = stage(ok(FIRST, FINISH, USAGE, DONE, headers=[*SSE, *THEIRS])), FakeClient()
    await scene.play(post("/v1/chat/completions", CHAT), client)
    assert [pair for pair in client.headers if b"ratelimit" in pair[0]] == THEIRS
