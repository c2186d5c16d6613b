"""Usage and Reading: what a provider said was used, in one shape for all dialects.

Totals are inclusive and details are parts of them, as OpenTelemetry's GenAI conventions have it. A field that the
provider did not report is None, never 0: a gateway that turns "unknown" into 0 gives requests away.

A Reading keeps apart what was said (`usage`) and what headgate infers where nothing was said (`estimate`), so that
no estimate can ever pass for a report (docs/decisions/0001).
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

_NOTHING: Mapping[str, int] = MappingProxyType({})
_NO_TERMS: Mapping[str, str] = MappingProxyType({})


class Leg(Struct, frozen=True):
    """A billed part that the totals leave out, at its own model's price.

    Anthropic's compaction and advisor iterations, and image generation inside a Responses call, are such parts.
    """

    kind: str
    model: str | None
    usage: "Usage"


class Usage(Struct, frozen=True):
    """Counts of tokens unless a field says otherwise; None means not reported."""

    input_tokens: int | None = None
    """Everything the model read: fresh input, cache reads, cache writes, tool-use prompt, all modalities."""
    cache_read_tokens: int | None = None
    """The part of the input served from a cache."""
    cache_read_audio_tokens: int | None = None
    """Audio that was served from a cache: a part of cache_read_tokens and of input_audio_tokens."""
    cache_read_image_tokens: int | None = None
    """The same of images."""
    cache_write_tokens: int | None = None
    """The part of the input written to a cache."""
    cache_write_tokens_by_ttl: Mapping[str, int] | None = None
    """cache_write_tokens by time to live ("5m", "30m", "1h", "12h"); only when it sums to that total."""
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_tokens: int | None = None
    """Everything generated: visible and reasoning, all modalities."""
    reasoning_tokens: int | None = None
    """The part of the output spent on thinking."""
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    tool_calls: Mapping[str, int] | None = None
    """Billable calls of server tools, by name, e.g. {"web_search": 2}."""
    billed_units: Mapping[str, int | Decimal] | None = None
    """The provider's own billing units where they differ from tokens (Cohere), as sent."""
    reported_cost_nanos: int | None = None
    """The provider's own cost in nano-dollars, where it sends one."""
    legs: tuple[Leg, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if the provider reported nothing at all."""
        return self == _EMPTY

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, every field present: None stays null. The cache reads by modality only where told."""
        out: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None or name not in _WHERE_TOLD:
                out[name] = dict(value) if isinstance(value, Mapping) else value
        if self.billed_units is not None:
            out["billed_units"] = {unit: _number(n) for unit, n in self.billed_units.items()}
        out["legs"] = [{"kind": leg.kind, "model": leg.model, "usage": leg.usage.as_json()} for leg in self.legs]
        return out


_EMPTY = Usage()
_WHERE_TOLD = frozenset({"cache_read_audio_tokens", "cache_read_image_tokens"})
"""Few services tell them, so that null in every reading would be noise."""


def _number(value: int | Decimal) -> int | float:
    """A billing unit as a JSON number; units are counts, not money, so a float is exact enough to show."""
    return int(value) if value == int(value) else float(value)


class Basis(StrEnum):
    """What a reading's numbers rest on."""

    REPORTED = "reported"
    """The provider's final figures."""
    PARTIAL = "partial"
    """The provider's figures up to where the stream broke off. The estimate covers all that was delivered, so the
    larger of the two stands."""
    ESTIMATED = "estimated"
    """Nothing reported: only the estimate stands."""
    NONE = "none"
    """Nothing reported and nothing delivered to estimate from."""


class Estimate(Struct, frozen=True):
    """Tokens inferred from bytes where the provider reported none. None where it did report, or nothing is known."""

    input_tokens: int | None = None
    output_tokens: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}


def legs_within(usage: Usage, model: str | None) -> Iterator[tuple[str | None, Usage]]:
    """All legs of a usage, and theirs, each under its own model, or else that of what it is a leg of."""
    for leg in usage.legs:
        own = leg.model or model
        yield own, leg.usage
        yield from legs_within(leg.usage, own)


def excess(estimate: Estimate, usage: Usage) -> Estimate:
    """What of an estimate is above what the provider reported, and so missing in a sum of reported tokens.

    An estimate covers all that was delivered, also what the figures of a stream that broke off cover already.
    """
    return Estimate(
        _above(estimate.input_tokens, usage.input_tokens), _above(estimate.output_tokens, usage.output_tokens)
    )


def _above(estimated: int | None, reported: int | None) -> int | None:
    return None if estimated is None else max(0, estimated - (reported or 0))


class Reading(Struct, frozen=True):
    """What a meter saw of one response."""

    usage: Usage = _EMPTY
    basis: Basis = Basis.NONE
    estimate: Estimate | None = None
    served_model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    """The tier that served, as the provider names it; it is what bills, not the one asked for."""
    terms: Mapping[str, str] = field(default_factory=lambda: _NO_TERMS)
    """What else the answer says of the terms that it was served on, each as sent: Anthropic's "speed" and
    "inference_geo", Gemini's "traffic_type" where it names a tier beside it, Bedrock's "latency", and "processing":
    "batch" for the results of a batch."""
    finish_reason: str | None = None
    terminal_evidence: str | None = None
    """The evidence that the response is whole, e.g. "[DONE]", "message_stop", "document"; None if there is none."""
    in_stream_error: str | None = None
    """An error told inside the response: its code or type, and message."""
    delivered_bytes: int = 0
    """UTF-8 bytes of generated text, tool arguments and reasoning that passed; the base of an estimate."""
    anomalies: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """Oddities by name, counted."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values under the field names of this class; the terms only where there are any."""
        terms = {"terms": dict(self.terms)} if self.terms else {}
        return terms | {
            "basis": str(self.basis),
            "usage": self.usage.as_json(),
            "estimate": self.estimate.as_json() if self.estimate else None,
            "served_model": self.served_model,
            "response_id": self.response_id,
            "service_tier": self.service_tier,
            "finish_reason": self.finish_reason,
            "terminal_evidence": self.terminal_evidence,
            "in_stream_error": self.in_stream_error,
            "delivered_bytes": self.delivered_bytes,
            "anomalies": dict(self.anomalies),
        }
