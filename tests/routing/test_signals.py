"""What answers' heads say about coming again."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.routing import signals

S, MS = 1_000_000_000, 1_000_000
NOW = 1_800_000_000 * S
"""2027-01-15T08:00:00Z"""


@pytest.mark.parametrize(
    ("status", "helps", "failure"),
    [
        (200, False, False), (302, False, False), (400, False, False), (404, False, False), (413, False, False),
        (422, False, False), (401, True, True), (402, True, True), (403, True, True), (408, True, True),
        (409, True, False), (425, True, True), (429, True, True), (500, True, True), (502, True, True),
        (503, True, True), (504, True, True), (529, True, True),
    ],
)  # fmt: skip
def test_statuses(status: int, helps: bool, failure: bool) -> None:
    assert signals.helps(status, own_credential=True) is helps
    assert signals.is_failure(status, own_credential=True) is failure


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_a_clients_own_credential_says_nothing_of_others(status: int) -> None:
    assert signals.helps(status, own_credential=False) is (status == 429)
    assert not signals.is_failure(status, own_credential=False)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({b"retry-after": b"7"}, 7 * S),
        ({b"retry-after": b" 1.5 "}, 1_500 * MS),
        ({b"retry-after": b"0"}, 0),
        ({b"retry-after-ms": b"250"}, 250 * MS),
        ({b"retry-after": b"7", b"retry-after-ms": b"250"}, 250 * MS),
        ({b"retry-after": b"Fri, 15 Jan 2027 08:00:30 GMT"}, 30 * S),
        ({b"retry-after": b"Fri, 15 Jan 2027 07:59:00 GMT"}, 0),
        ({b"retry-after": b"Friday, 15-Jan-27 08:01:00 GMT"}, 60 * S),
        ({b"retry-after": b"Fri Jan 15 08:00:05 2027"}, 5 * S),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"-3"}, None),
        ({b"retry-after": b"\xff"}, None),
        ({b"retry-after": b"9" * 18}, 366 * 86_400 * S),
    ],
)
def test_retry_after(headers: dict[bytes, bytes], wait: int | None) -> None:
    assert signals.retry_after(list(headers.items()), NOW) == wait


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({b"x-ratelimit-remaining-requests": b"1", b"x-ratelimit-reset-requests": b"9s"}, None),
        ({b"x-ratelimit-remaining-requests": b"0"}, None),
        ({b"x-ratelimit-remaining-requests": b"0", b"x-ratelimit-reset-requests": b"6m0s"}, 360 * S),
        ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"17ms"}, 17 * MS),
        ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"2m59.56s"}, 179_560 * MS),
        ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"1d2h"}, 93_600 * S),
        ({b"x-ratelimit-remaining": b"0", b"x-ratelimit-reset": b"12"}, 12 * S),
        ({b"x-ratelimit-remaining": b"0", b"x-ratelimit-reset": b"1800000020"}, 20 * S),
        ({b"x-ratelimit-remaining": b"0", b"x-ratelimit-reset": b"1800000020500"}, 20_500 * MS),
        (
            {
                b"anthropic-ratelimit-requests-remaining": b"0",
                b"anthropic-ratelimit-requests-reset": b"2027-01-15T08:00:10Z",
            },
            10 * S,
        ),
        (
            {
                b"anthropic-ratelimit-input-tokens-remaining": b"0",
                b"anthropic-ratelimit-input-tokens-reset": b"2027-01-15T09:00:10+01:00",
                b"anthropic-ratelimit-output-tokens-remaining": b"0",
                b"anthropic-ratelimit-output-tokens-reset": b"2027-01-15T08:00:04.5Z",
            },
            10 * S,
        ),
        ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"2027-13-15T08:00:04Z"}, None),
        ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b""}, None),
    ],
)
def test_what_is_left_of_a_limit(headers: dict[bytes, bytes], wait: int | None) -> None:
    assert signals.spent(list(headers.items()), NOW) == wait


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)))  # noqa: DTZ001  made aware below
def test_dates_agree_with_the_librarys(when: datetime) -> None:
    when = when.replace(microsecond=0, tzinfo=UTC)
    seconds = max(0, round(when.timestamp()) * S - NOW)
    assert signals.retry_after([(b"retry-after", format_datetime(when, usegmt=True).encode())], NOW) == seconds
    headers = [(b"x-ratelimit-remaining", b"0"), (b"x-ratelimit-reset", when.isoformat().encode())]
    assert signals.spent(headers, NOW) == seconds


@given(st.binary(max_size=40))
def test_no_bytes_are_too_strange(value: bytes) -> None:
    wait = signals.retry_after([(b"retry-after", value), (b"retry-after-ms", value)], NOW)
    assert wait is None or wait >= 0
    wait = signals.spent([(b"x-ratelimit-remaining-x", b"0"), (b"x-ratelimit-reset-x", value)], NOW)
    assert wait is None or wait >= 0
