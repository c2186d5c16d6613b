import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headgate.pricing.book import PriceBook, as_bytes, check
from headgate.pricing.cost import cost
from headgate.pricing.dated import second_of
from headgate.usage import Usage
from tests.pricing.books import AT, BOOK, content
from tests.pricing.oracle import packaged

FOUND: list[tuple[str, str, str | None]] = [
    ("acme", "plain", "plain"),
    ("acme", "PLAIN", "plain"),
    ("acme", "cached-2026-01-02", "cached"),
    ("acme", "cached-20260102", "cached"),
    ("acme", "cached-2027", "cached"),
    ("acme", "cached-fast", None),
    ("acme", "cache", None),
    ("resale", "plain", "plain"),
    ("branch", "cached-2027", "cached"),
    ("acme", "unknown", None),
    ("nobody", "plain", None),
]


@pytest.mark.parametrize(("provider", "name", "model"), FOUND)
def test_find(provider: str, name: str, model: str | None) -> None:
    price = BOOK.find(provider, name, AT)
    assert (price and price.model) == model


PACKAGED: list[tuple[str, str, str | None]] = [
    ("openai", "gpt-4o-2024-08-06", "openai/gpt-4o"),
    ("openai", "gpt-5.2-20251211", "openai/gpt-5.2"),
    ("azure", "gpt-4o", "openai/gpt-4o"),
    ("vertex", "gemini-2.5-pro", "google/gemini-2.5-pro"),
    ("vertex", "claude-opus-4-6@20260101", "google/claude-opus-4-6"),
    ("bedrock", "us.anthropic.claude-sonnet-4-6", "bedrock/regional.anthropic.claude-sonnet-4-6-v1:0"),
    ("bedrock", "anthropic.claude-opus-4-6-fast", None),
    ("xai", "grok-4.6-20260901", "xai/grok-4.6"),
    ("moonshot", "kimi-k2.6", "moonshot/kimi-k2.6"),
    ("huggingface", "openai/gpt-oss-120b:cerebras", "huggingface/openai/gpt-oss-120b:cerebras"),
    ("huggingface", "openai/gpt-oss-120b", None),
    ("anthropic", "claude-opus-4-6-fast", None),
    ("anthropic", "claude-sonnet-9", None),
    ("openai", "gpt-5-nano-mini", None),
    ("ollama", "llama3", None),
]


@pytest.mark.parametrize(("provider", "name", "found"), PACKAGED)
def test_the_packaged_book(provider: str, name: str, found: str | None) -> None:
    price = packaged().find(provider, name, AT)
    assert (price and f"{price.provider}/{price.model}") == found


def test_the_packaged_book_is_whole() -> None:
    assert not list(check(packaged()))
    assert sum(1 for _ in packaged().models()) > 2_000


def test_the_moment_decides() -> None:
    def dollars(day: str) -> str:
        price = BOOK.find("acme", "cheaper", second_of(day) * 10**9)
        assert price is not None
        return str(price.rates["input_mtok"].base.dollars)

    assert (dollars("2026-10-13"), dollars("2026-10-14")) == ("10", "1")


def test_context_windows() -> None:
    price = BOOK.find("acme", "plain", AT)
    assert price is not None
    assert price.context_window == 128_000


OWN: dict[tuple[str, str], dict[str, Any]] = {
    ("acme", "Plain"): {"input_mtok": "7", "output_mtok": "8"},
    ("*", "cached"): {"input_mtok": "5", "output_mtok": "5"},
    ("nobody", "my-model"): {"input_mtok": "0", "output_mtok": "0"},
}


def test_the_operators_prices_come_first_under_all_names_of_a_model() -> None:
    book = BOOK.with_overrides(OWN)

    def told(provider: str, model: str) -> tuple[str, str] | None:
        price = book.find(provider, model, AT)
        return (price.source, str(price.rates["input_mtok"].base.dollars)) if price is not None else None

    assert told("acme", "plain") == ("operator", "7")
    assert told("acme", "cached-2026-01-02") == ("operator", "5")
    assert told("acme", "cached-2027") == ("operator", "5")
    assert told("elsewhere", "cached") == ("operator", "5")
    assert told("nobody", "my-model") == ("operator", "0")
    assert told("acme", "writer") == ("book", "4")
    price = book.find("acme", "plain", AT)
    assert price is not None
    assert price.context_window == 128_000
    # an operator's price is whole: reads that it does not name are input
    usage = Usage(input_tokens=10, cache_read_tokens=10, output_tokens=0)
    assert cost(usage, "acme", "cached", book, AT, {}).nanos == 10 * 5_000


def test_the_version_is_that_of_what_decides_prices() -> None:
    again = PriceBook.from_json(as_bytes(content()))
    assert again.version == BOOK.version
    assert BOOK.version.startswith("sha256:")
    assert len(BOOK.version) == len("sha256:") + 16
    renamed = content() | {"source": {"name": "another"}}
    assert PriceBook.from_json(renamed).version == BOOK.version
    dearer = content()
    dearer["providers"]["acme"]["models"][0]["prices"][0]["rates"]["input_mtok"] = "2.01"
    assert PriceBook.from_json(dearer).version != BOOK.version
    own = BOOK.with_overrides(OWN)
    assert own.version not in {BOOK.version, BOOK.with_overrides({("acme", "plain"): {"input_mtok": "1"}}).version}
    assert own.version == BOOK.with_overrides(dict(reversed(OWN.items()))).version


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"format": 2, "providers": {}}', b'{"format": 1, "providers": {"a": {"models": [{}]}}}'],
)
def test_what_is_no_book_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|Expecting|not a price book"):
        PriceBook.from_json(data)


def test_check_names_what_is_wrong() -> None:
    raw = content()
    raw["providers"]["resale"]["fallback"] = ["acne"]
    models = raw["providers"]["acme"]["models"]
    models[0]["prices"][0]["rates"]["input_mtok"] = 2
    models[1]["match"] = [{"like": "x"}]
    models[2]["prices"] = []
    models[3]["prices"][0]["from"] = "tomorrow"
    told = list(check(PriceBook.from_json(raw)))
    assert [line.split(":")[0] for line in told] == ["acme/plain", "acme/cached", "acme/writer", "acme/long", "resale"]


def test_names_of_any_number_do_not_fill_the_memory() -> None:
    book = PriceBook.from_json(content())
    for number in range(25_000):
        book.find("acme", f"m{number}", AT)
    assert len(book._found) <= 10_000
    assert book.find("acme", "plain", AT) is not None


def test_nor_do_names_of_any_length() -> None:
    book = PriceBook.from_json(content())
    assert book.find("acme", "cached-" + "x" * 1_000, AT) is not None
    assert not book._found


def test_threads_share_a_book() -> None:
    book = PriceBook.from_json(json.dumps(content()).encode())
    usage = Usage(input_tokens=1_000, output_tokens=10)

    def ask(number: int) -> int | None:
        return cost(usage, "acme", ("plain", "writer", "long")[number % 3], book, AT + number, {}).nanos

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(ask, range(3_000)))
    assert told == [2_100_000, 4_200_000, 2_650_000] * 1_000
