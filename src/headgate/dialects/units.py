"""Billing units that are no tokens: searches, images, seconds of audio."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from headgate.dialects.reading import MAX_COUNT, MAX_KEY, MAX_MEMBERS, Anomalies


def billing_units(raw: Any, anomalies: Anomalies) -> Mapping[str, int | Decimal] | None:
    """The numbers of an object by key, exactly as sent; None if it has none. What is no amount is noted."""
    if not isinstance(raw, dict):
        return None
    found: dict[str, int | Decimal] = {}
    for name, value in list(raw.items())[:MAX_MEMBERS]:
        if value is None or len(name) > MAX_KEY:
            continue
        if _is_amount(value):
            found[name.encode("utf-8", "replace").decode()] = value
        else:
            anomalies["not_an_amount"] += 1
    return found or None


def _is_amount(value: Any) -> bool:
    """A finite number from 0 up to what a count may be; true and false are none."""
    if isinstance(value, Decimal):
        return value.is_finite() and 0 <= value < MAX_COUNT and value.adjusted() > -MAX_KEY
    return type(value) is int and 0 <= value < MAX_COUNT
