"""A small book with round prices, so that amounts can be worked out by hand."""

from collections.abc import Mapping
from typing import Any

from headgate.pricing.book import PriceBook
from headgate.pricing.cost import Cost, cost
from headgate.usage import Usage

AT = 1_795_000_000 * 10**9
"""18 November 2026."""


def content() -> dict[str, Any]:
    return {
        "format": 1,
        "source": {"name": "by hand"},
        "providers": {
            "acme": {
                "models": [
                    {"id": "plain", "prices": [{"rates": {"input_mtok": "2", "output_mtok": "10"}}], "context": 128000},
                    {"id": "cached", "names": ["cached-2026-01-02"], "match": [{"starts_with": "cached-"}],
                     "prices": [{"rates": {"input_mtok": "2", "cache_read_mtok": "0.2", "output_mtok": "10"}}]},
                    {"id": "writer", "prices": [{"rates": {
                        "input_mtok": "4", "cache_read_mtok": "0.4", "cache_write_mtok": "5",
                        "cache_write_1h_mtok": "8", "output_mtok": "20", "web_searches_kcount": "10"}}],
                     "variants": [
                        {"when": {"processing": "batch"}, "rates": {
                            "input_mtok": "2", "cache_read_mtok": "0.2", "cache_write_mtok": "2.5",
                            "cache_write_1h_mtok": "4", "output_mtok": "10"}},
                        {"when": {"speed": "fast"}, "rates": {"input_mtok": "24", "output_mtok": "120"}}],
                     "times": [{"when": {"inference_geo": "us"}, "by": "1.1"}]},
                    {"id": "long", "prices": [{"rates": {
                        "input_mtok": ["2.5", [272000, "5"]], "cache_read_mtok": ["0.25", [272000, "0.5"]],
                        "output_mtok": ["15", [272000, "22.5"]]}}]},
                    {"id": "heard", "prices": [{"rates": {
                        "input_mtok": "4", "cache_read_mtok": "0.4", "input_audio_mtok": "32",
                        "cache_audio_read_mtok": "0.5", "output_mtok": "16", "output_audio_mtok": "64"}}]},
                    {"id": "tiers", "prices": [{"rates": {"input_mtok": "2", "output_mtok": "8"}}],
                     "variants": [
                        {"when": {"service_tier": "flex"}, "rates": {"input_mtok": "1", "output_mtok": "4"}},
                        {"when": {"service_tier": "priority"}, "rates": {"input_mtok": "4", "output_mtok": "16"}}]},
                    {"id": "answers", "prices": [{"rates": {
                        "input_mtok": "1", "output_mtok": "1", "requests_kcount": "12"}}]},
                    {"id": "minutes", "prices": [{"rates": {"audio_hours": "0.36", "input_audio_hours": "0.36"}}],
                     "least": {"audio_hours": 10, "input_audio_hours": 10}},
                    {"id": "ranks", "prices": [{"rates": {"rerank_searches_kcount": "2"}}]},
                    {"id": "unknown", "prices": [{"rates": {}}]},
                    {"id": "nights", "prices": [
                        {"rates": {"input_mtok": "1", "output_mtok": "2"}},
                        {"rates": {"input_mtok": "3", "output_mtok": "6"}, "between": ["16:30", "00:30"]}]},
                    {"id": "cheaper", "prices": [
                        {"rates": {"input_mtok": "10", "output_mtok": "20"}},
                        {"rates": {"input_mtok": "1", "output_mtok": "2"}, "from": "2026-10-14"}]},
                ]
            },
            "resale": {"fallback": ["acme"], "models": []},
            "branch": {"as": "acme", "models": []},
        },
    }  # fmt: skip


BOOK = PriceBook.from_json(content())


def bill(
    model: str | None,
    usage: Usage,
    terms: Mapping[str, str] | None = None,
    *,
    provider: str = "acme",
    book: PriceBook = BOOK,
) -> Cost:
    return cost(usage, provider, model, book, AT, terms or {})
