from decimal import Decimal
from typing import Any

import pytest

from headgate.pricing.markup import Markup, Markups

PARSED: list[tuple[Any, tuple[int, int]]] = [
    ("20%", (6, 5)),
    ("1.2", (6, 5)),
    ("0%", (1, 1)),
    ("-10%", (9, 10)),
    ("12.5 %", (9, 8)),
    ("-100%", (0, 1)),
    ("0", (0, 1)),
    (2, (2, 1)),
    (Decimal("1.05"), (21, 20)),
    ("900%", (10, 1)),
]


@pytest.mark.parametrize(("value", "ratio"), PARSED)
def test_a_mark_up_is_an_exact_factor(value: Any, ratio: tuple[int, int]) -> None:
    told = Markup.parse(value)
    assert (told.numerator, told.denominator) == ratio


@pytest.mark.parametrize(
    "value", ["", "%", "x", "1e3", "20", "901%", "-101%", "-1", "1,2", 1.2, True, None, "1.2.3", "9" * 30]
)
def test_what_is_no_mark_up_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="mark-up"):
        Markup.parse(value)


def test_the_most_particular_mark_up_holds() -> None:
    one, two, three, four = (Markup(n, 1) for n in (1, 2, 3, 4))
    told = Markups(one, {("openai", None): two, ("*", "gpt"): three, ("openai", "gpt"): four})
    assert told.of("openai", "GPT") == four
    assert told.of("azure", "gpt") == three
    assert told.of("openai", "other") == two
    assert told.of("openai", None) == two
    assert told.of("azure", None) == one
