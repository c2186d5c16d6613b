"""Where a key stands with its limits, in the headers that clients know from the providers.

One figure for requests and one for tokens: of the window that ends first.
"""

from headgate.gateway.hold import Held, standing
from headgate.gateway.upstream import Headers
from headgate.ledger.entries import Measure

_NAMED = ((b"requests", Measure.TIMES), (b"tokens", Measure.QUANTITY))
_THEIRS = (b"x-ratelimit-", b"anthropic-ratelimit-")


def rate_headers(held: Held | None, now_ns: int) -> Headers:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of a placed hold; nothing for a key without limits."""
    if held is None or held.outcome is None or not held.caps:
        return ()
    told: list[tuple[bytes, bytes]] = []
    for name, measure in _NAMED:
        placed = zip(held.caps, held.outcome.counters, strict=False)
        limits = [(cap, counter) for cap, counter in placed if cap.measure is measure]
        if limits:
            told += standing(name, *min(limits, key=lambda limit: limit[0].ends_at_ns or 0), now_ns)
    return told


def without_rates(headers: Headers) -> Headers:
    """Headers without a provider's figures for its own limits."""
    return [pair for pair in headers if not pair[0].startswith(_THEIRS)]
