"""The operator's own prices and mark-ups, as the configuration has them.

[prices]
markup = "20%"

[prices.markups]
anthropic = "10%"
"openai/gpt-4o" = "1.5"

[prices.override."openai/gpt-4o"]
input_mtok = "2.50"
output_mtok = ["10", [200000, "15"]]

[prices.override."*/my-model"]
input_mtok = "0"
output_mtok = "0"
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from headgate.pricing.book import Overrides
from headgate.pricing.dated import rates_of
from headgate.pricing.markup import Markup, Markups
from headgate.pricing.sane import oddities


def overrides_from(table: Mapping[str, Any], path: str = "prices.override") -> Overrides:
    """Read `[prices.override]`. Raises ValueError with the path of the key that is wrong."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, rates in table.items():
        here = f'{path}."{name}"'
        provider, slash, model = name.partition("/")
        if not (provider and slash and model):
            raise ValueError(f'{here}: expected "provider/model" or "*/model"')
        if not isinstance(rates, Mapping) or not rates:
            raise ValueError(f'{here}: expected a table of rates such as input_mtok = "2.50"')
        found[provider, model] = {unit: _rate(unit, value, f"{here}.{unit}") for unit, value in rates.items()}
    return found


def _rate(unit: str, value: Any, path: str) -> Any:
    """A rate as `rates_of` reads it; checked, and not beyond what any provider asks."""
    told = [_texts(part) for part in value] if isinstance(value, list) else _text(value)
    try:
        steps = rates_of({unit: told})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    for oddity in oddities(steps):
        raise ValueError(f"{path}: {oddity}")
    return told


def _texts(part: Any) -> Any:
    return [part[0], _text(part[1])] if isinstance(part, list) and len(part) == 2 else _text(part)


def _text(value: Any) -> Any:
    """Whole numbers and decimals as texts; a float stays and is refused."""
    if type(value) is int:
        return str(value)
    return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else value


def markups_from(markup: Any = None, particular: Mapping[str, Any] | None = None, path: str = "prices") -> Markups:
    """Read `markup` and `[prices.markups]`. Raises ValueError with the path of the key that is wrong."""
    overall = Markup() if markup is None else _markup(markup, f"{path}.markup")
    found: dict[tuple[str, str | None], Markup] = {}
    for name, value in (particular or {}).items():
        provider, slash, model = name.partition("/")
        here = f'{path}.markups."{name}"'
        if not provider or (slash and not model) or (provider == "*" and not model):
            raise ValueError(f'{here}: expected "provider", "provider/model" or "*/model"')
        found[provider, model.lower() or None] = _markup(value, here)
    return Markups(overall, found)


def _markup(value: Any, path: str) -> Markup:
    try:
        return Markup.parse(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
