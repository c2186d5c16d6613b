from typing import Any

import pytest

from headgate.pricing.dated import rates_of
from headgate.pricing.sane import oddities
from tests.pricing.oracle import packaged

ODD: list[tuple[dict[str, Any], int]] = [
    ({"input_mtok": "2.5", "output_mtok": "600"}, 0),
    ({"input_mtok": "0"}, 0),
    ({"input_mtok": "0.0000025"}, 1),
    ({"input_mtok": "0.0006"}, 1),
    ({"output_mtok": "2500000"}, 1),
    ({"input_mtok": ["2.5", [200_000, "0.000005"]]}, 1),
    ({"web_searches_kcount": "10", "audio_hours": "0.36"}, 0),
    ({"web_searches_kcount": "0.00001"}, 1),
    ({"requests_kcount": "12000"}, 1),
]


@pytest.mark.parametrize(("rates", "count"), ODD)
def test_rates_for_another_number_of_units(rates: dict[str, Any], count: int) -> None:
    assert len(list(oddities(rates_of(rates)))) == count


def test_a_price_a_token_is_found_for_every_model_of_the_packaged_book() -> None:
    """Entered as they stand on a price list by the token, the rates of no model would pass."""
    count = 0
    for model in packaged().models():
        for priced in model.entry["prices"]:
            rates = rates_of(priced["rates"])
            assert not list(oddities(rates)), model.id
            for unit, steps in rates.items():
                if unit.endswith("_mtok") and steps.base.dollars:
                    by_token = rates_of({unit: f"{steps.base.dollars.scaleb(-6):f}"})
                    assert list(oddities(by_token)), (model.id, unit)
                    count += 1
    assert count > 5_000
