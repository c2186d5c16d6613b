from decimal import Decimal
from typing import Any

import pytest

from headgate.dialects.reading import Anomalies
from headgate.dialects.units import billing_units


@pytest.mark.parametrize(
    ("raw", "units", "refused"),
    [
        ({"seconds": Decimal("1.50"), "searches": 2}, {"seconds": Decimal("1.5"), "searches": 2}, 0),
        ({"a": Decimal("NaN"), "b": Decimal(-1), "c": True, "d": "2", "e": [1]}, None, 5),
        ({"a": Decimal("1e999999"), "b": Decimal("1e-999999"), "c": 2**40}, None, 3),
        ({"a": None, "x" * 65: 1}, None, 0),
        ({}, None, 0),
        ([1], None, 0),
        (None, None, 0),
    ],
)
def test_amounts(raw: Any, units: dict[str, int | Decimal] | None, refused: int) -> None:
    anomalies = Anomalies()
    assert billing_units(raw, anomalies) == units
    assert sum(anomalies.values()) == refused


def test_an_object_of_any_size_is_bounded() -> None:
    units = billing_units({str(n): n for n in range(10_000)}, Anomalies())
    assert units is not None
    assert len(units) == 256
