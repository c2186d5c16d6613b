from typing import Any

from headgate.pricing.book import PriceBook
from headgate.pricing.merging import Change, changes, merged_under, only_of
from tests.pricing.books import AT, content


def more() -> dict[str, Any]:
    def model(name: str, *names: str) -> dict[str, Any]:
        return {"id": name, "names": list(names), "origin": "x", "prices": [{"rates": {"input_mtok": "99"}}]}

    models = [model("Plain"), model("new", "newer"), model("alias", "cached-2026-01-02")]
    return {
        "providers": {
            "acme": {"models": models},
            "other": {"models": [model("m")]},
            "branch": {"models": [model("plain")]},
        }
    }


def test_what_a_book_has_stays_as_it_is() -> None:
    before = content()
    book = PriceBook.from_json(merged_under(before, more()))
    assert before == content()

    def dollars(provider: str, model: str) -> str | None:
        price = book.find(provider, model, AT)
        return str(price.rates["input_mtok"].base.dollars) if price is not None else None

    assert dollars("acme", "plain") == "2"
    assert dollars("acme", "cached-2026-01-02") == "2"
    assert dollars("acme", "newer") == "99"
    assert dollars("other", "m") == "99"
    assert dollars("branch", "plain") == "2"


def test_what_was_added_can_be_told_from_the_rest() -> None:
    both = merged_under(content(), more())
    kept = only_of(both, "x")["providers"]
    assert {name: [model["id"] for model in table["models"]] for name, table in kept.items()} == {
        "acme": ["new"],
        "other": ["m"],
    }


def test_changes() -> None:
    old, new = content(), content()
    models = new["providers"]["acme"]["models"]
    models[0]["prices"][0]["rates"]["input_mtok"] = "3"
    models[1]["names"] = []
    models[2]["id"] = "scribe"
    assert list(changes(old, new)) == [
        Change("changed", "acme", "plain"),
        Change("new", "acme", "scribe"),
        Change("gone", "acme", "writer"),
    ]
    assert not list(changes(old, content()))
