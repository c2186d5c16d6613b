"""The units that things are sold in, and how a Usage is counted in them.

Names, sizes and kinds are those of genai-prices' price keys (tests compare the table). A unit whose kinds include all
of another's is a part of it: `cache_write_1h_mtok` of `cache_write_mtok`, and that of `input_mtok`.
"""

from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter

from headgate.usage import Usage

Quantity = int | Decimal
"""An exact count: tokens and calls are integers, seconds of audio may be decimals."""

_M = 1_000_000
_K = 1_000


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of sale: a rate is dollars for `per` of it. Its kinds are unordered words, one of each sort."""

    name: str
    per: int
    kinds: frozenset[str]


def _unit(name: str, per: int, kinds: str) -> Unit:
    return Unit(name, per, frozenset(kinds.split()))


UNITS: tuple[Unit, ...] = (
    _unit("input_mtok", _M, "tokens input"),
    _unit("output_mtok", _M, "tokens output"),
    _unit("cache_read_mtok", _M, "tokens input cache_read"),
    _unit("cache_write_mtok", _M, "tokens input cache_write"),
    _unit("cache_write_5m_mtok", _M, "tokens input cache_write 5m"),
    _unit("cache_write_1h_mtok", _M, "tokens input cache_write 1h"),
    _unit("input_text_mtok", _M, "tokens input text"),
    _unit("output_text_mtok", _M, "tokens output text"),
    _unit("cache_text_read_mtok", _M, "tokens input text cache_read"),
    _unit("cache_text_write_mtok", _M, "tokens input text cache_write"),
    _unit("cache_text_write_5m_mtok", _M, "tokens input text cache_write 5m"),
    _unit("cache_text_write_1h_mtok", _M, "tokens input text cache_write 1h"),
    _unit("input_audio_mtok", _M, "tokens input audio"),
    _unit("output_audio_mtok", _M, "tokens output audio"),
    _unit("cache_audio_read_mtok", _M, "tokens input audio cache_read"),
    _unit("cache_audio_write_mtok", _M, "tokens input audio cache_write"),
    _unit("cache_audio_write_5m_mtok", _M, "tokens input audio cache_write 5m"),
    _unit("cache_audio_write_1h_mtok", _M, "tokens input audio cache_write 1h"),
    _unit("input_image_mtok", _M, "tokens input image"),
    _unit("output_image_mtok", _M, "tokens output image"),
    _unit("cache_image_read_mtok", _M, "tokens input image cache_read"),
    _unit("cache_image_write_mtok", _M, "tokens input image cache_write"),
    _unit("cache_image_write_5m_mtok", _M, "tokens input image cache_write 5m"),
    _unit("cache_image_write_1h_mtok", _M, "tokens input image cache_write 1h"),
    _unit("input_video_mtok", _M, "tokens input video"),
    _unit("output_video_mtok", _M, "tokens output video"),
    _unit("cache_video_read_mtok", _M, "tokens input video cache_read"),
    _unit("cache_video_write_mtok", _M, "tokens input video cache_write"),
    _unit("cache_video_write_5m_mtok", _M, "tokens input video cache_write 5m"),
    _unit("cache_video_write_1h_mtok", _M, "tokens input video cache_write 1h"),
    _unit("input_tool_mtok", _M, "tokens input tool"),
    _unit("input_text_tool_mtok", _M, "tokens input text tool"),
    _unit("input_audio_tool_mtok", _M, "tokens input audio tool"),
    _unit("input_image_tool_mtok", _M, "tokens input image tool"),
    _unit("input_video_tool_mtok", _M, "tokens input video tool"),
    _unit("output_reasoning_mtok", _M, "tokens output reasoning"),
    _unit("output_text_reasoning_mtok", _M, "tokens output text reasoning"),
    _unit("output_audio_reasoning_mtok", _M, "tokens output audio reasoning"),
    _unit("output_image_reasoning_mtok", _M, "tokens output image reasoning"),
    _unit("output_video_reasoning_mtok", _M, "tokens output video reasoning"),
    _unit("output_citation_mtok", _M, "tokens output citation"),
    _unit("output_text_citation_mtok", _M, "tokens output text citation"),
    _unit("output_audio_citation_mtok", _M, "tokens output audio citation"),
    _unit("output_image_citation_mtok", _M, "tokens output image citation"),
    _unit("output_video_citation_mtok", _M, "tokens output video citation"),
    _unit("input_mchars", _M, "characters input"),
    _unit("input_text_messages_kcount", _K, "messages input text"),
    _unit("audio_hours", 3600, "durations audio"),
    _unit("input_audio_hours", 3600, "durations input audio"),
    _unit("output_audio_hours", 3600, "durations output audio"),
    _unit("input_gpixels", 10**9, "pixels input"),
    _unit("input_document_kpages", _K, "document_pages input"),
    _unit("input_annotated_document_kpages", _K, "document_pages input annotated"),
    _unit("rerank_searches_kcount", _K, "rerank"),
    _unit("web_searches_kcount", _K, "tool_calls web_search"),
    _unit("social_searches_kcount", _K, "tool_calls social_search"),
    _unit("storage_searches_kcount", _K, "tool_calls storage_search"),
    _unit("code_executions_kcount", _K, "tool_calls code_execution"),
    _unit("requests_kcount", _K, "requests"),
)

TOOL = "tool:"
"""Begins the unit of a server tool that has no other: `tool:web_fetch` is a thousand calls of it."""

_BY_NAME = {unit.name: unit for unit in UNITS}
BY_KINDS = {unit.kinds: unit for unit in UNITS}
TOKENS = frozenset(unit.name for unit in UNITS if "tokens" in unit.kinds)


def unit_of(name: str) -> Unit | None:
    """The unit of that name; None if there is none."""
    if name.startswith(TOOL) and len(name) > len(TOOL):
        return Unit(name, _K, frozenset({"tool_calls", name}))
    return _BY_NAME.get(name)


_TOKENS = (
    ("input_tokens", "input_mtok"),
    ("output_tokens", "output_mtok"),
    ("cache_read_tokens", "cache_read_mtok"),
    ("cache_write_tokens", "cache_write_mtok"),
    ("input_audio_tokens", "input_audio_mtok"),
    ("input_image_tokens", "input_image_mtok"),
    ("cache_read_audio_tokens", "cache_audio_read_mtok"),
    ("cache_read_image_tokens", "cache_image_read_mtok"),
    ("reasoning_tokens", "output_reasoning_mtok"),
    ("output_audio_tokens", "output_audio_mtok"),
    ("output_image_tokens", "output_image_mtok"),
)
_TOKEN_UNITS = tuple(unit for _, unit in _TOKENS)
_token_fields = attrgetter(*(field for field, _ in _TOKENS))
_WRITES = {"5m": "cache_write_5m_mtok", "1h": "cache_write_1h_mtok"}
"""Other times to live are priced as cache writes."""

_TOOLS = {
    "web_search": "web_searches_kcount",
    "google_search": "web_searches_kcount",
    "x_search": "social_searches_kcount",
    "file_search": "storage_searches_kcount",
    "code_interpreter": "code_executions_kcount",
    "code_execution": "code_executions_kcount",
}
"""The dialects' names of server tools, where they are units of genai-prices'."""

_BILLED = {
    "search_units": ("rerank_searches_kcount",),
    "seconds": ("input_audio_hours", "audio_hours"),
    "pages": ("input_document_kpages",),
    "characters": ("input_mchars",),
}
"""A provider's own billing units. Seconds are those of audio that was sent in, which some prices just call audio."""
_BILLED_TOKENS = ("input_tokens", "output_tokens", "image_tokens")
_OVERLAPS = (
    ("cache_audio_read_mtok", "input_audio_mtok"),
    ("cache_image_read_mtok", "input_image_mtok"),
)


def counts_of(usage: Usage) -> dict[str, Quantity]:
    """What a usage says, by unit; only what it says. Legs and a reported cost are not among it."""
    found = (billed_tokens(usage) if usage.billed_units else None) or _tokens(usage)
    if usage.tool_calls:
        for tool, count in usage.tool_calls.items():
            unit = _TOOLS.get(tool, TOOL + tool)
            found[unit] = found.get(unit, 0) + count
    if usage.billed_units:
        for billed, amount in usage.billed_units.items():
            if billed not in _BILLED_TOKENS:
                found.update(dict.fromkeys(_BILLED.get(billed, (f"billed:{billed}",)), amount))
    return found


def _tokens(usage: Usage) -> dict[str, Quantity]:
    told = zip(_TOKEN_UNITS, _token_fields(usage), strict=True)
    found: dict[str, Quantity] = {unit: count for unit, count in told if count is not None}
    if usage.cache_write_tokens_by_ttl:
        for ttl, count in usage.cache_write_tokens_by_ttl.items():
            if ttl in _WRITES:
                found[_WRITES[ttl]] = count
    if usage.cache_read_tokens is not None:
        _assume_overlaps(found)
    return found


def _assume_overlaps(found: dict[str, Quantity]) -> None:
    """Where nobody says how much of a modality was cached, it is no more than what the total leaves no room for."""
    for both, modality in _OVERLAPS:
        if both not in found and found.get(modality):
            found[both] = max(0, found["cache_read_mtok"] + found[modality] - found.get("input_mtok", 0))


def billed_tokens(usage: Usage) -> dict[str, Quantity]:
    """The tokens that are billed in the place of those that were read and written; empty where none are.

    Cohere bills less than it counts (facts/stream_cases.md 2.17); images stand beside its input tokens.
    """
    units = usage.billed_units or {}
    given, made, images = (units.get(name) for name in _BILLED_TOKENS)
    if given is None and made is None and images is None:
        return {}
    return {"input_mtok": (given or 0) + (images or 0), "output_mtok": made or 0, "input_image_mtok": images or 0}
