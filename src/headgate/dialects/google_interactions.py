"""Google's Interactions API: POST /interactions, stored, in the background or as a stream (facts/wire.md section 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headgate.dialects.asking import Wanted, given, largest, read_request, rows, runs_tools
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Ask, Metering, Operation, Tally
from headgate.dialects.google_wire import GoogleDialect, added, modality_tokens, status_text
from headgate.dialects.reading import (
    MAX_MEMBERS,
    Anomalies,
    Counts,
    Seen,
    Shape,
    check_parts,
    merge,
    parsed,
    size,
    text,
)
from headgate.framing.base import Frame
from headgate.usage import Reading, Usage

_UNFINISHED = frozenset({"in_progress", "queued"})
"""Statuses of an interaction that goes on: its usage is not the last word."""


class _Text(msgspec.Struct):
    text: str | None = None


class _Content(msgspec.Struct):
    """A piece of content, or a delta of one; a thought's summary stands one level deeper in its delta."""

    text: str | None = None
    content: _Text | None = None
    arguments: msgspec.Raw = msgspec.Raw()


class _Step(msgspec.Struct):
    content: list[_Content] | None = None
    summary: list[_Content] | None = None


class _Interaction(msgspec.Struct):
    id: str | None = None
    status: str | None = None
    model: str | None = None
    agent: str | None = None
    service_tier: str | None = None
    steps: list[_Step] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    event_type: str | None = None
    interaction: _Interaction | None = None
    delta: _Content | None = None
    error: msgspec.Raw = msgspec.Raw()


_INTERACTION, _EVENT = Shape(_Interaction), Shape(_Event)


class InteractionTally(Tally):
    """Reads an interaction; in a stream its usage stands in interaction.completed."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage: Mapping[str, Any] = {}

    def event(self, frame: Frame) -> None:
        """Take an event."""
        if frame.data == b"[DONE]":
            return
        event = _EVENT.read(frame.data)
        if event is None:
            self._seen.anomalies["not_json"] += 1
            return
        if event.interaction is not None:
            self._take(event.interaction)
        if event.delta is not None:
            self._seen.delivered += _content_size(event.delta)
        if event.event_type == "interaction.completed":
            self._seen.terminal = event.event_type
        error = parsed(event.error)
        if error or event.event_type == "error":
            self._seen.error = status_text(error)

    def document(self, body: bytes) -> None:
        """Take a whole interaction. One that is cut off counts as delivered with all its bytes."""
        interaction = _INTERACTION.read(body)
        if interaction is None:
            self._seen.anomalies["not_json"] += 1
            self._seen.delivered += len(body)
            return
        self._seen.terminal = "document"
        self._take(interaction)

    def _take(self, interaction: _Interaction) -> None:
        seen = self._seen
        seen.response_id = interaction.id or seen.response_id
        seen.model = interaction.model or interaction.agent or seen.model
        seen.finish_reason = interaction.status or seen.finish_reason
        seen.service_tier = interaction.service_tier or seen.service_tier
        self._usage = merge(self._usage, parsed(interaction.usage))
        parts = [part for step in interaction.steps or () for part in (step.content, step.summary)]
        told = sum(_content_size(content) for part in parts for content in part or ())
        seen.delivered = max(seen.delivered, told)  # the end of a stream may repeat what its deltas brought
        if error := parsed(interaction.error):
            seen.error = status_text(error)

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. The usage of an interaction that goes on is so far only."""
        del ended
        anomalies = Anomalies()
        final = self._seen.terminal is not None and self._seen.finish_reason not in _UNFINISHED
        return self._seen.reading(interaction_usage(self._usage, anomalies), anomalies, final=final)


def _content_size(content: _Content) -> int:
    raw = content.arguments
    told = size(content.text) + size(content.content.text if content.content is not None else None)
    return told + (len(bytes(raw)) if isinstance(raw, msgspec.Raw) else 0)


def interaction_usage(raw: Mapping[str, Any], anomalies: Anomalies) -> Usage:
    """An interaction's usage. Whether tool use and thoughts stand beside the totals, total_tokens decides.

    Without it, or where no sum fits, they do: that is how the same models count elsewhere (facts/wire.md 10b).
    """
    counts = Counts(raw, anomalies)
    names = ("input", "tool_use", "output", "thought")
    prompt, tool_use, made, thoughts = (counts.get(f"total_{name}_tokens") for name in names)
    total = counts.get("total_tokens")
    ways = [(prompt, added(made, thoughts)), (prompt, made)]
    if tool_use is not None:
        ways = [(added(prompt, tool_use), output) for _, output in ways] + ways
    fits = [way for way in ways if total is not None and added(*way) == total]
    if total is not None and not fits:
        anomalies["total_mismatch"] += 1
    read, written = (fits or ways)[0]
    usage = Usage(
        input_tokens=read,
        cache_read_tokens=counts.get("total_cached_tokens"),
        cache_read_audio_tokens=_of("audio", raw, "cached_tokens_by_modality"),
        cache_read_image_tokens=_of("image", raw, "cached_tokens_by_modality"),
        input_audio_tokens=_of("audio", raw, "input_tokens_by_modality", "tool_use_tokens_by_modality"),
        input_image_tokens=_of("image", raw, "input_tokens_by_modality", "tool_use_tokens_by_modality"),
        output_tokens=written,
        reasoning_tokens=thoughts,
        output_audio_tokens=_of("audio", raw, "output_tokens_by_modality"),
        output_image_tokens=_of("image", raw, "output_tokens_by_modality"),
        tool_calls=_grounding(raw, anomalies),
    )
    return check_parts(usage, anomalies)


def _of(modality: str, raw: Mapping[str, Any], *details: str) -> int | None:
    return modality_tokens(raw, (modality,), *details, key="tokens")


def _grounding(raw: Mapping[str, Any], anomalies: Anomalies) -> dict[str, int] | None:
    rows = raw.get("grounding_tool_count")
    found: dict[str, int] = {}
    for row in rows[:MAX_MEMBERS] if isinstance(rows, list) else ():
        told = Counts(row, anomalies).get("count")
        kind = text(row.get("type")) if isinstance(row, dict) else None
        if told is not None and kind is not None:
            found[kind] = told
    return found or None


class _Request(Wanted):
    input: msgspec.Raw = msgspec.Raw()
    agent: Any = None
    generation_config: Any = None
    tools: msgspec.Raw = msgspec.Raw()
    previous_interaction_id: Any = None
    service_tier: Any = None


_OWN_TOOLS = ("function", "computer_use")


class GoogleInteractions(GoogleDialect):
    """Interactions."""

    name = "google.interactions"
    operations = (
        Operation("create", "POST", "/{version}/interactions"),
        Operation("retrieve", "GET", "/{version}/interactions/{id}", Metering.REPEATED),
        Operation("cancel", "POST", "/{version}/interactions/{id}/cancel", Metering.REPEATED),
        Operation("delete", "DELETE", "/{version}/interactions/{id}", Metering.FREE),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body; an agent stands in the place of a model, and works on as long as it likes.

        Raises BadRequest.
        """
        del headers
        request = read_request(body, _Request)
        config = request.generation_config
        cap = config.get("max_output_tokens") if isinstance(config, dict) else None
        tools = rows(request.tools)
        helped = runs_tools(tools, _OWN_TOOLS) or given(request.agent)
        ask = Ask(
            model=request.model or text(request.agent),
            stream=request.stream,
            output_cap=largest(cap),
            input_bytes=len(body),
            has_tools=bool(tools),
            stored_context=helped or given(request.previous_interaction_id),
            unbounded="server_tools" if helped else None,
            service_tier=text(request.service_tier),
        )
        return with_attachments(ask, request.input)

    def tally(self) -> Tally:
        """A fresh tally."""
        return InteractionTally()


DIALECT = GoogleInteractions()
