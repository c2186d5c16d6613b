from decimal import Decimal

import pytest

from headgate.pricing.units import BY_KINDS, TOKENS, UNITS, Unit, counts_of, unit_of
from headgate.usage import Leg, Usage

COUNTS: list[tuple[Usage, dict[str, int | Decimal]]] = [
    (Usage(), {}),
    (Usage(reported_cost_nanos=5, legs=(Leg("x", None, Usage(input_tokens=1)),)), {}),
    (Usage(input_tokens=0, output_tokens=7), {"input_mtok": 0, "output_mtok": 7}),
    (
        Usage(cache_write_tokens=6, cache_write_tokens_by_ttl={"5m": 1, "1h": 2, "30m": 3}),
        {"cache_write_mtok": 6, "cache_write_5m_mtok": 1, "cache_write_1h_mtok": 2},
    ),
    (
        Usage(
            tool_calls={
                "web_search": 1,
                "google_search": 2,
                "x_search": 3,
                "file_search": 4,
                "code_interpreter": 5,
                "google_maps": 6,
            }
        ),
        {
            "web_searches_kcount": 3,
            "social_searches_kcount": 3,
            "storage_searches_kcount": 4,
            "code_executions_kcount": 5,
            "tool:google_maps": 6,
        },
    ),
    (
        Usage(billed_units={"seconds": Decimal("1.5"), "search_units": 2, "images": 3}),
        {
            "input_audio_hours": Decimal("1.5"),
            "audio_hours": Decimal("1.5"),
            "rerank_searches_kcount": 2,
            "billed:images": 3,
        },
    ),
    # what is billed stands in the place of what was counted, and images beside the rest of the input
    (
        Usage(
            input_tokens=9, cache_read_tokens=4, output_tokens=9, billed_units={"input_tokens": 5, "image_tokens": 2}
        ),
        {"input_mtok": 7, "output_mtok": 0, "input_image_mtok": 2},
    ),
    # 8 cached and 5 of audio in 10 tokens: at least 3 are both
    (
        Usage(input_tokens=10, cache_read_tokens=8, input_audio_tokens=5),
        {"input_mtok": 10, "cache_read_mtok": 8, "input_audio_mtok": 5, "cache_audio_read_mtok": 3},
    ),
    (
        Usage(input_tokens=10, cache_read_tokens=8, input_audio_tokens=5, cache_read_audio_tokens=4),
        {"input_mtok": 10, "cache_read_mtok": 8, "input_audio_mtok": 5, "cache_audio_read_mtok": 4},
    ),
]


@pytest.mark.parametrize(("usage", "counts"), COUNTS)
def test_counts(usage: Usage, counts: dict[str, int | Decimal]) -> None:
    assert counts_of(usage) == counts


def test_every_unit_is_found_by_its_name_and_its_kinds() -> None:
    for unit in UNITS:
        assert unit_of(unit.name) is unit
        assert BY_KINDS[unit.kinds] is unit
    assert len(BY_KINDS) == len(UNITS)
    assert "input_mtok" in TOKENS
    assert "requests_kcount" not in TOKENS


def test_a_server_tool_is_a_unit_of_its_own() -> None:
    assert unit_of("tool:web_fetch") == Unit("tool:web_fetch", 1000, frozenset({"tool_calls", "tool:web_fetch"}))
    assert unit_of("tool:") is None
    assert unit_of("input_tokens") is None
