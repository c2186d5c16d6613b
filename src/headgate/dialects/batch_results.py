"""How batches are read, whoever runs them, and no dialect itself.

A batch is billed by its results, one line a request, and a client may fetch these as often as it likes. So the creation
and the polls are read for the id under which the results will come, and the results are summed by model, as legs: each
has its model's price, at the batch rate.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from headgate.dialects.base import Answer, Ask, Dialect, Tally, framing_of
from headgate.dialects.reading import Anomalies, Seen, Shape, text
from headgate.framing.base import Frame, Framing
from headgate.framing.ndjson import JsonLines
from headgate.framing.opaque import Opaque
from headgate.usage import Leg, Reading, Usage

_SPACE = b" \t\r\n"
MAX_SUMS = 256
"""Sums kept of one body, and names in each of their maps; real batches have one model, or a few."""


class Result(NamedTuple):
    """What one request of a batch used."""

    model: str | None
    usage: Usage


class _Batch(msgspec.Struct):
    object: str | None = None
    type: str | None = None
    id: str | None = None
    output_file_id: str | None = None


_BATCH = Shape(_Batch)


class BatchTally(Tally):
    """Reads a batch, or its results."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._sums: dict[tuple[str, str | None], Usage] = {}
        """By kind and model, at most MAX_SUMS of them: however many lines, the memory is bounded."""
        self._anomalies = Anomalies()

    @abstractmethod
    def result(self, line: bytes, anomalies: Anomalies) -> Result | None:
        """What a line of results tells; None if it is none, or tells of no usage."""

    def event(self, frame: Frame) -> None:
        """Take a line. A batch object that came on one line is no result, and is read for its id."""
        result = self.result(frame.data, self._anomalies)
        if result is None:
            self.document(frame.data)
            return
        self._seen.terminal = "results"
        self._add("batch", result.model, replace(result.usage, legs=()))
        for leg in result.usage.legs:
            self._add(leg.kind, leg.model or result.model, leg.usage)

    def _add(self, kind: str, model: str | None, usage: Usage) -> None:
        """What has no place of its own any more is summed under no model's name, so that nothing is lost."""
        key = (kind, model)
        if key not in self._sums and len(self._sums) >= MAX_SUMS:
            self._anomalies["too_many_models"] += 1
            key = ("batch", None)
        known = self._sums.get(key)
        self._sums[key] = usage if known is None else added(known, usage)

    def document(self, body: bytes) -> None:
        """Take a batch: its results come under its output file's id, where it has one."""
        batch = _BATCH.read(body)
        if batch is None:
            self._anomalies["not_json"] += 1
        elif batch.object == "batch" or batch.type == "message_batch":
            self._seen.terminal = "document"
            self._seen.response_id = batch.output_file_id or batch.id

    @property
    def over(self) -> bool:
        """Never before the body's end: another line may follow."""
        return False

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. Results that break off are read again from the start, so they are partial."""
        if self._sums:
            self._seen.response_id = None
            self._seen.service_tier = "batch"
            self._seen.terms = {"processing": "batch"}
        legs = tuple(Leg(kind, text(model), usage) for (kind, model), usage in self._sums.items())
        return self._seen.reading(Usage(legs=legs), self._anomalies, final=ended)


class Batches(Dialect):
    """What the batches of all companies have in common: no model of their own, and results that come as lines."""

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """The requests of a batch, in it or in a file, name their models each for itself, and are billed later."""
        del headers
        return Ask(input_bytes=len(body), unbounded="batch")

    def framing(self, head: bytes, answer: Answer) -> Framing | None:
        """Lines, a batch, or a file in which there is nothing to read."""
        return framing_of_results(head, answer)


def added(one: Usage, other: Usage) -> Usage:
    """Both usages' sum: what neither reports stays unknown, and maps are added name by name."""
    sums: dict[str, Any] = {}
    for name in Usage.__struct_fields__:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, dict) and isinstance(b, dict):
            sums[name] = {key: a.get(key, 0) + b.get(key, 0) for key in islice(a | b, MAX_SUMS)}
        else:
            sums[name] = b if a is None else a if b is None else a + b
    return replace(one, **sums)


def framing_of_results(head: bytes, answer: Answer) -> Framing | None:
    """Lines where a body begins with an object, a document where it says that it is one; else nothing to read."""
    start = head.lstrip(_SPACE)
    if answer.content_type.startswith("application/json"):
        return framing_of(head)
    if not start:
        return None
    return JsonLines() if start[:1] == b"{" else Opaque()
