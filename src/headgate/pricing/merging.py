"""Two books to one, and what differs between them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


def merged_under(book: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The book with another's models added that it does not have by any exact name. Both are JSON."""
    shelves = {name: dict(table) for name, table in book["providers"].items()}
    for name, table in more["providers"].items():
        shelf = shelves.setdefault(name, {"models": []})
        known = {other.lower() for model in shelf["models"] for other in _names(model)}
        known |= {
            other.lower() for model in shelves.get(shelf.get("as", ""), {}).get("models", ()) for other in _names(model)
        }
        added = [model for model in table["models"] if not known.intersection(other.lower() for other in _names(model))]
        shelf["models"] = [*shelf["models"], *added]
    return {**book, "providers": shelves}


def only_of(book: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The part of a book whose models come from that origin."""
    shelves = {
        name: {"models": [model for model in table.get("models", ()) if model.get("origin") == origin]}
        for name, table in book["providers"].items()
    }
    return {**book, "providers": {name: table for name, table in shelves.items() if table["models"]}}


def _names(model: Mapping[str, Any]) -> tuple[str, ...]:
    return (model["id"], *model.get("names", ()))


class Change(NamedTuple):
    """What became of a model: "new", "gone" or "changed"."""

    what: str
    provider: str
    model: str


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """How one book's models differ from another's, in the order of their names."""
    before, after = _entries(old), _entries(new)
    for key in sorted(before.keys() | after.keys()):
        if key not in before:
            yield Change("new", *key)
        elif key not in after:
            yield Change("gone", *key)
        elif before[key] != after[key]:
            yield Change("changed", *key)


def _entries(book: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    return {
        (name, model["id"]): (model["prices"], model.get("variants"), model.get("times"), model.get("least"))
        for name, table in book["providers"].items()
        for model in table.get("models", ())
    }
