import re
import tomllib
from decimal import Decimal
from typing import Any

import pytest

from headgate.pricing.cost import cost
from headgate.pricing.markup import Markup
from headgate.pricing.overrides import __doc__ as described
from headgate.pricing.overrides import markups_from, overrides_from
from headgate.usage import Usage
from tests.pricing.books import AT, BOOK

SETTINGS = tomllib.loads((described or "").split("\n\n", 1)[1])["prices"]


def test_the_settings_in_the_documentation() -> None:
    book = BOOK.with_overrides(overrides_from(SETTINGS["override"]))
    used = Usage(input_tokens=1_000, output_tokens=10)
    # 1000 x 2500 + 10 x 10000
    assert cost(used, "openai", "gpt-4o", book, AT, {}).nanos == 2_600_000
    # a step in the output's rate: 200001 x 2500 + 10 x 15000
    assert cost(Usage(input_tokens=200_001, output_tokens=10), "openai", "gpt-4o", book, AT, {}).nanos == 500_152_500
    assert cost(used, "vllm", "my-model", book, AT, {}).nanos == 0
    assert cost(used, "vllm", "my-model", book, AT, {}).source == "operator"
    told = markups_from(SETTINGS["markup"], SETTINGS["markups"])
    assert told.of("groq", "x") == Markup(6, 5)
    assert told.of("anthropic", "x") == Markup(11, 10)
    assert told.of("openai", "gpt-4o") == Markup(3, 2)


def test_whole_numbers_and_decimals_are_rates_too() -> None:
    told = overrides_from({"a/b": {"input_mtok": 2, "output_mtok": Decimal("1.50")}})
    assert told == {("a", "b"): {"input_mtok": "2", "output_mtok": "1.50"}}


def test_a_models_name_may_have_slashes() -> None:
    assert list(overrides_from({"openrouter/openai/gpt-4o": {"input_mtok": "1"}})) == [("openrouter", "openai/gpt-4o")]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"gpt-4o": {"input_mtok": "1"}}, 'prices.override."gpt-4o": expected "provider/model"'),
    ({"a/": {"input_mtok": "1"}}, 'expected "provider/model"'),
    ({"a/b": {}}, 'prices.override."a/b": expected a table'),
    ({"a/b": "1"}, "expected a table"),
    ({"a/b": {"input": "1"}}, 'prices.override."a/b".input: no such unit'),
    ({"a/b": {"input_mtok": 2.5}}, 'prices.override."a/b".input_mtok: expected dollars as a decimal text'),
    ({"a/b": {"input_mtok": "-1"}}, "decimal text"),
    ({"a/b": {"input_mtok": ["1", [0.5, "1"]]}}, "ascending"),
    ({"a/b": {"input_mtok": []}}, "input_mtok"),
    # a price a token, where one a million is wanted (facts/stream_cases.md 10.24)
    ({"a/b": {"input_mtok": "0.0000025"}}, "is outside"),
    ({"a/b": {"input_mtok": "2500000"}}, "is outside"),
]


@pytest.mark.parametrize(("table", "why"), BAD)
def test_a_wrong_price_is_told_with_its_path(table: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        overrides_from(table)


BAD_MARKUPS: list[tuple[Any, dict[str, Any], str]] = [
    ("20", {}, "prices.markup: "),
    (1.2, {}, "prices.markup: "),
    (None, {"openai": "x"}, 'prices.markups."openai": '),
    (None, {"openai/": "1.2"}, 'prices.markups."openai/": expected'),
    (None, {"*": "1.2"}, 'prices.markups."*": expected'),
]


@pytest.mark.parametrize(("overall", "particular", "why"), BAD_MARKUPS)
def test_a_wrong_mark_up_is_told_with_its_path(overall: Any, particular: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        markups_from(overall, particular)


def test_without_settings_the_client_pays_the_cost() -> None:
    assert markups_from().of("openai", "gpt-4o") == Markup()
