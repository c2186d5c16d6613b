"""PriceBook: which price holds for a provider's model at a moment.

A book is JSON:

    {"format": 1,
     "source": {"name": "genai-prices", "version": "0.2.3"},
     "providers": {
       "openai": {
         "fallback": ["other"],
         "as": "other",
         "models": [{
           "id": "gpt-4o", "names": ["gpt-4o-2024-08-06"], "match": [{"starts_with": "gpt-4o-"}], "context": 128000,
           "prices": [{"rates": {"input_mtok": ["2.50", [200000, "5"]], "output_mtok": "10"},
                       "from": "2026-10-14", "between": ["00:30", "16:30"]}],
           "variants": [{"when": {"service_tier": "flex"}, "rates": {...}, "from": "2026-10-14"}],
           "times": [{"when": {"inference_geo": "us"}, "by": "1.1"}],
           "least": {"audio_hours": 10}}]}}}

Of `prices` the last that holds is taken. A provider that sells another's models names it in `fallback`, or in `as`
where it sells them on the same terms. Rates are texts of decimal dollars, so that no float is ever read.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from headgate.pricing.dated import Constraint, Model, rates_of
from headgate.pricing.matching import check_clause, fits, with_dashed_dates
from headgate.pricing.price import Price

FORMAT = 1
_MOST_NAMES = 10_000
_LONGEST_NAME = 256
"""Names that are remembered, found or not: clients may send any."""

Overrides = Mapping[tuple[str, str], Mapping[str, Any]]
"""Rates by (provider or "*", model name), as `rates_of` reads them."""


class _Shelf:
    """One provider's models."""

    __slots__ = ("by_name", "described", "fallback", "same")

    def __init__(self, name: str, table: Mapping[str, Any]) -> None:
        self.fallback: tuple[str, ...] = tuple(table.get("fallback", ()))
        self.same: str | None = table.get("as")
        models = [Model(name, entry) for entry in table.get("models", ())]
        self.by_name: dict[str, Model] = {}
        for model in models:
            for known in model.names:
                self.by_name.setdefault(known, model)
        self.described = [(model, clause) for model in models for clause in model.clauses]

    def find(self, name: str) -> Model | None:
        """The model of that name, in lower case: exact names first, then descriptions in their order."""
        model = self.by_name.get(name)
        if model is None:
            model = next((model for model, clause in self.described if fits(clause, name)), None)
        return model


class PriceBook:
    """Prices by provider and model. Frozen but for what it remembers, so threads may share it."""

    def __init__(self, content: Mapping[str, Any], overrides: Overrides | None = None) -> None:
        """`content` is a book's JSON, checked by `from_json`."""
        self.content = content
        self.overrides = {(p, m.lower()): rates for (p, m), rates in (overrides or {}).items()}
        self.version = _version(content, self.overrides)
        self._shelves = {name: _Shelf(name, table) for name, table in content["providers"].items()}
        self._found: dict[tuple[str, str], Model | None] = {}

    @classmethod
    def from_json(cls, data: bytes | Mapping[str, Any]) -> "PriceBook":
        """Read a book. Raises ValueError, saying where, if it is none."""
        content = json.loads(data) if isinstance(data, bytes) else data
        if not isinstance(content, Mapping) or not isinstance(content.get("providers"), Mapping):
            raise ValueError('expected an object with "providers"')  # noqa: TRY004 - bad data, not a bad argument
        if content.get("format") != FORMAT:
            raise ValueError(f"expected a book of format {FORMAT}, not {content.get('format')!r}")
        try:
            return cls(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a price book: {error!r}") from error

    def with_overrides(self, overrides: Overrides) -> "PriceBook":
        """The same book with the operator's prices before its own. Raises ValueError if a rate is none.

        An operator's price is whole: units that it does not name are not taken from the book. It holds for the name
        that it was given for and for all names of the book's model of that name, so it survives the dated name that
        an answer comes under.
        """
        for rates in overrides.values():
            rates_of(rates)
        return PriceBook(self.content, overrides)

    def find(self, provider: str, model: str, at_ns: int) -> Price | None:
        """The price of a provider's model at a moment in nanoseconds since the Unix epoch; None if there is none."""
        found = self.model(provider, model)
        return None if found is None else found.price_at(at_ns)

    def model(self, provider: str, name: str) -> Model | None:
        """What the book has under that name; None if it has nothing."""
        key = (provider, name)
        try:
            return self._found[key]
        except KeyError:
            found = self._model(provider, name.lower())
            if len(self._found) >= _MOST_NAMES:
                self._found.clear()
            if len(name) <= _LONGEST_NAME:
                self._found[key] = found
            return found

    def _model(self, provider: str, name: str) -> Model | None:
        spellings = dict.fromkeys((name, with_dashed_dates(name)))
        found = next((model for known in spellings for model in self._on_shelves(provider, known)), None)
        for known in (name, *(found.names if found is not None else ())):
            for seller in (provider, "*"):
                rates = self.overrides.get((seller, known))
                if rates is not None:
                    entry = {"id": known, "prices": [{"rates": rates}], "context": found and found.context_window}
                    return Model(provider, entry, "operator")
        return found

    def _on_shelves(self, provider: str, name: str) -> Iterator[Model]:
        shelf = self._shelves.get(provider)
        if shelf is None:
            return
        for place in (shelf, self._shelves.get(shelf.same or "")):
            if place is not None and (model := place.find(name)) is not None:
                yield model
        for other in shelf.fallback:
            if other in self._shelves and (model := self._shelves[other].find(name)) is not None:
                yield model.borrowed()

    def models(self) -> Iterator[Model]:
        """Every model of every provider, in the book's order."""
        for name, table in self.content["providers"].items():
            yield from (Model(name, entry) for entry in table.get("models", ()))


def _version(content: Mapping[str, Any], overrides: Mapping[tuple[str, str], Any]) -> str:
    """A hash of all that decides a price: two books with the same prices have the same version."""
    own = sorted((provider, model, rates) for (provider, model), rates in overrides.items()) if overrides else []
    told = json.dumps([content["format"], content["providers"], own], sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(told.encode()).hexdigest()[:16]


def as_bytes(content: Mapping[str, Any]) -> bytes:
    """A book's JSON as a file: always the same bytes for the same book, a line for each model."""

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    shelves = []
    for name, table in content["providers"].items():
        head = {key: value for key, value in table.items() if key != "models"}
        models = ",\n".join(text(model) for model in table.get("models", ()))
        begin = text(head)[:-1] + ("," if head else "")
        shelves.append(f'{text(name)}:{begin}"models":[\n{models}]}}')
    top = {key: value for key, value in content.items() if key != "providers"}
    return (text(top)[:-1] + ',"providers":{\n' + ",\n".join(shelves) + "}}\n").encode()


def check(book: PriceBook) -> Iterator[str]:
    """What is wrong in a book, in words: everything that `from_json` leaves for later is read."""
    shelves = book.content["providers"]
    for name, table in shelves.items():
        for other in (*table.get("fallback", ()), *([table["as"]] if "as" in table else ())):
            if other not in shelves:
                yield f"{name}: there is no provider {other}"
        for entry in table.get("models", ()):
            try:
                _check_entry(entry)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                yield f"{name}/{entry.get('id')}: {error}"


def _check_entry(entry: Mapping[str, Any]) -> None:
    for clause in entry.get("match", ()):
        check_clause(clause)
    if not entry["prices"]:
        raise ValueError("no prices")
    for priced in (*entry["prices"], *entry.get("variants", ())):
        Constraint(priced)
        rates_of(priced["rates"])
