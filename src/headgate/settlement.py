"""The settlement table: what becomes of a hold, by how its exchange ended. Pure.

Whether the account is charged follows from the ending and the policy; what it is charged for, from the reading. A
reading that is not the provider's whole report is billed by what was delivered, and flagged (docs/architecture.md).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from headgate.records import Ending
from headgate.usage import Basis, Estimate, Reading, Usage


class OnUpstreamFailure(StrEnum):
    """Who pays for an answer that its provider broke off. The provider's cost is recorded in any case."""

    DELIVERED = "delivered"
    """The account pays for what was delivered, if output reached the client."""
    NEVER = "never"
    """The operator pays."""
    ALWAYS = "always"
    """The account pays, whether or not output reached the client."""


class Verdict(StrEnum):
    """What becomes of the hold."""

    VOID = "void"
    CAPTURE = "capture"
    BY_POLICY = "by_policy"


TABLE: Mapping[Ending, Verdict] = MappingProxyType(
    {
        Ending.NEVER_SENT: Verdict.VOID,
        Ending.REFUSED: Verdict.VOID,
        Ending.COMPLETE: Verdict.CAPTURE,
        Ending.INCOMPLETE: Verdict.CAPTURE,
        Ending.CLIENT_LEFT: Verdict.CAPTURE,
        Ending.UPSTREAM_CUT: Verdict.BY_POLICY,
        Ending.UPSTREAM_ERROR: Verdict.BY_POLICY,
        Ending.GATEWAY_FAILED: Verdict.BY_POLICY,
        Ending.GATEWAY_DIED: Verdict.CAPTURE,
    }
)
"""The resolution by ending. For `gateway_died` the sweep decides whether anything had been sent at all."""

FLAGS: Mapping[Basis, str] = MappingProxyType(
    {
        Basis.PARTIAL: "partial",
        Basis.ESTIMATED: "estimated",
        Basis.NONE: "unmetered",
    }
)
"""What a charge is flagged with where it does not rest on the provider's whole report."""


class Settlement(Struct, frozen=True):
    """What to charge for, and whether to charge at all."""

    charged: bool
    """False: the hold is voided, and what the provider asks is the operator's own loss."""
    usage: Usage
    """What was used: reported, and estimated where nothing was reported. Its price is the provider's cost."""
    flags: tuple[str, ...]


def settle(ending: Ending, reading: Reading, policy: OnUpstreamFailure, *, prompt_tokens: int) -> Settlement:
    """The table's row for an exchange that something was sent upstream for, or that never got so far.

    `prompt_tokens` estimates the prompt, for a reading that knows nothing.
    """
    if TABLE[ending] is Verdict.VOID:
        return Settlement(charged=False, usage=reading.usage, flags=())
    flags = (FLAGS[reading.basis],) if reading.basis in FLAGS else ()
    if TABLE[ending] is Verdict.BY_POLICY:
        flags = (*flags, str(ending))
    return Settlement(_charged(ending, reading, policy), usage_of(reading, prompt_tokens), flags)


def _charged(ending: Ending, reading: Reading, policy: OnUpstreamFailure) -> bool:
    if TABLE[ending] is Verdict.CAPTURE or policy is OnUpstreamFailure.ALWAYS:
        return True
    return policy is OnUpstreamFailure.DELIVERED and reading.delivered_bytes > 0


def usage_of(reading: Reading, prompt_tokens: int) -> Usage:
    """The usage to be priced.

    An estimate covers all that was delivered, and a partial report what had been counted so far: the larger stands.
    A cost that a provider reported before the end is not the whole one, so it does not outlive an estimate.
    """
    usage = reading.usage
    if reading.basis is Basis.REPORTED:
        return usage
    estimate = reading.estimate or Estimate(None if reading.basis is Basis.PARTIAL else prompt_tokens, None)
    estimated = replace(
        usage,
        input_tokens=_larger(usage.input_tokens, estimate.input_tokens),
        output_tokens=_larger(usage.output_tokens, estimate.output_tokens),
    )
    if (estimated.input_tokens, estimated.output_tokens) != (usage.input_tokens, usage.output_tokens):
        estimated = replace(estimated, reported_cost_nanos=None)
    return estimated


def _larger(reported: int | None, estimated: int | None) -> int | None:
    if reported is None or estimated is None:
        return estimated if reported is None else reported
    return max(reported, estimated)
