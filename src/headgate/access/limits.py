"""Limits on rate: how often, how much and how many at once a key may ask. Pure; time is passed in.

A limit is a cap of the ledger (`ledger/entries.py`): it is taken in the same transaction as the hold, so it holds in
every gateway process alike, however many requests come at the same instant. Windows are fixed: minutes of the epoch,
and days in UTC.
"""

from collections.abc import Iterator

from msgspec import Struct

from headgate.ledger.entries import Cap, Measure

_MINUTE_NS = 60 * 1_000_000_000
_DAY_NS = 24 * 60 * _MINUTE_NS


class Limits(Struct, frozen=True):
    """What a key may do; None is no limit."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    """Input and output together: the estimate is set aside, and corrected to what was used."""
    tokens_per_day: int | None = None
    concurrent: int | None = None
    """Exchanges under way at the same time."""

    def caps(self, key_id: str, now_ns: int, tokens: int) -> Iterator[Cap]:
        """The caps that a request of so many tokens, at most, is placed under."""
        for name, measure, span_ns, limit in (
            ("rpm", Measure.TIMES, _MINUTE_NS, self.requests_per_minute),
            ("rpd", Measure.TIMES, _DAY_NS, self.requests_per_day),
            ("tpm", Measure.QUANTITY, _MINUTE_NS, self.tokens_per_minute),
            ("tpd", Measure.QUANTITY, _DAY_NS, self.tokens_per_day),
        ):
            if limit is not None:
                window = now_ns // span_ns
                amount = 1 if measure is Measure.TIMES else tokens
                yield Cap(f"{name}:{key_id}@{window}", measure, limit, amount, (window + 1) * span_ns)
        if self.concurrent is not None:
            yield Cap(f"concurrent:{key_id}", Measure.PRESENCE, self.concurrent, 1)
