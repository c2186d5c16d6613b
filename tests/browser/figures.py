"""Figures as the dashboard is to write them, computed from integers and decimals here."""

from decimal import ROUND_HALF_UP, Decimal

UNKNOWN = "–"  # noqa: RUF001  (an en dash, as on the page)
MINUS = "−"  # noqa: RUF001


def whole(count: int) -> str:
    """1,234,567."""
    return f"{count:,}"


def dollars(nanos: int | None, decimals: int) -> str:
    """So many decimals, half a unit away from zero."""
    if nanos is None:
        return UNKNOWN
    amount = Decimal(abs(nanos)).scaleb(-9).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{MINUS if nanos < 0 and amount else ''}${amount:,f}"


def nine(nanos: int | None) -> str:
    """To the nano-dollar."""
    return dollars(nanos, 9)


def exact(nanos: int | None) -> str:
    """To the last digit that is not 0, and cents at least: what a hover shows."""
    text = nine(nanos)
    head, _, tail = text.partition(".")
    return text if not tail else f"{head}.{tail[:2]}{tail[2:].rstrip('0')}"


def percent(part: int, of: int) -> str:
    """A share, never 0 or 100 for what is not quite."""
    if of == 0:
        return UNKNOWN
    if part in {0, of}:
        return f"{100 * part // of} %"
    share = Decimal(100 * part) / of
    if share < Decimal("0.1"):
        return "< 0.1 %"
    if share > Decimal("99.9"):
        return "> 99.9 %"
    digits = Decimal("0.1") if share >= 99 or share < 10 else Decimal(1)
    return f"{share.quantize(digits, ROUND_HALF_UP)} %"
