"""Where a key stands with its limits, in the headers that clients know from the providers.

One figure for requests and one for tokens: the minute's where the key has such a limit, and else the day's.
"""

from collections.abc import Iterator

from headgate.gateway.hold import Held
from headgate.gateway.hold import standing as standing_of
from headgate.gateway.upstream import Headers
from headgate.ledger.entries import Cap, Counter

_NAMED = ((b"requests", ("rpm:", "rpd:")), (b"tokens", ("tpm:", "tpd:")))
_THEIRS = (b"x-ratelimit-", b"anthropic-ratelimit-")


def rate_headers(held: Held | None, now_ns: int) -> Headers:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of a placed hold; nothing for a key without limits."""
    if held is None or held.outcome is None or not held.caps:
        return ()
    standing = {
        cap.cap_id.split(":")[0] + ":": (cap, at) for cap, at in zip(held.caps, held.outcome.counters, strict=False)
    }
    return [pair for name, kinds in _NAMED for pair in _headers(name, kinds, standing, now_ns)]


def _headers(
    name: bytes, kinds: tuple[str, ...], standing: dict[str, tuple[Cap, Counter]], now_ns: int
) -> Iterator[tuple[bytes, bytes]]:
    found = next((standing[kind] for kind in kinds if kind in standing), None)
    if found is None:
        return
    cap, counter = found
    yield from standing_of(name, cap, counter, now_ns)


def without_rates(headers: Headers) -> Headers:
    """Headers without a provider's figures for its own limits."""
    return [pair for pair in headers if not pair[0].startswith(_THEIRS)]
