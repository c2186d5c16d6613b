#!/usr/bin/env python3
"""Make src/headgate/pricing/data/prices.json from the data of the package genai-prices (MIT, Pydantic).

Run it in an environment that holds genai-prices, at the root of the checkout, and read the difference:

    PYTHONPATH=src python tools/make_prices.py

The package holds its data as Python objects; they are written out as its published data.json has them, which is what
`headgate prices update` reads, and so both ways end in the same book.
"""

import sys
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from headgate.pricing import genai
from headgate.pricing.book import PriceBook, as_bytes, check

TARGET = Path("src/headgate/pricing/data/prices.json")


def main() -> None:
    """Write the book; what is not understood is printed and ends the run with status 1."""
    source = {"name": "genai-prices", "version": metadata.version("genai-prices")}
    book, unknown = genai.book_from(published(), source)
    problems = [*unknown, *check(PriceBook.from_json(book))]
    TARGET.write_bytes(as_bytes(book))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


def published() -> list[dict[str, Any]]:
    """The package's data in the shape of its data.json, as far as a book is made of it."""
    return [
        {
            "id": provider.id,
            "fallback_model_providers": provider.fallback_model_providers,
            "models": plain(provider.models),
        }
        for provider in import_module("genai_prices.data").providers
    ]


def plain(value: Any) -> Any:
    """An object of genai-prices' as JSON has it, but for decimals, which stay."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, date | time):
        return value.isoformat().replace("+00:00", "Z")
    if is_dataclass(value):
        told = {field.name.rstrip("_"): plain(getattr(value, field.name)) for field in fields(value)}
        return {key: part for key, part in told.items() if part is not None}
    if isinstance(value, str | int | Decimal) or value is None:
        return value
    return {key: plain(part) for key, part in vars(value).items() if part is not None}  # a ModelPrice


if __name__ == "__main__":
    main()
