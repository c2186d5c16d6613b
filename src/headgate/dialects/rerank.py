"""POST /rerank, as Jina, Voyage, Together, vLLM and Cohere v1 have it; no stream.

Jina and Voyage report `usage.total_tokens`, which are all input; Cohere and its imitators `meta.billed_units`, searches
and not tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headgate.dialects.asking import Wanted, items, raw_bytes, read_request
from headgate.dialects.base import Ask, Operation, Tally
from headgate.dialects.openai_wire import OpenAIDialect
from headgate.dialects.reading import Anomalies, Counts, Seen, Shape, error_text, merge, parsed
from headgate.dialects.units import billing_units
from headgate.framing.base import Frame
from headgate.usage import Reading, Usage


class _Answer(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    meta: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    message: str | None = None
    detail: str | None = None


_ANSWER = Shape(_Answer)


class RerankTally(Tally):
    """Reads the usage that stands beside the ranking."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage: Mapping[str, Any] = {}

    def event(self, frame: Frame) -> None:
        """Take an answer that came framed as an event, against the rule."""
        self.document(frame.data)

    def document(self, body: bytes) -> None:
        """Take the answer."""
        seen, answer = self._seen, _ANSWER.read(body)
        if answer is None:
            seen.anomalies["not_json"] += 1
            return
        seen.terminal = "document"
        seen.model, seen.response_id = answer.model, answer.id
        self._usage = merge(merge(self._usage, parsed(answer.meta)), parsed(answer.usage))
        if error := parsed(answer.error) or answer.message or answer.detail:
            seen.error = error_text(error)

    @property
    def over(self) -> bool:
        """True once the answer has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. A ranking has no output tokens, so a total is the input."""
        del ended
        anomalies = Anomalies()
        counts = Counts(self._usage, anomalies)
        usage = Usage(
            input_tokens=counts.first(("prompt_tokens",), ("total_tokens",), ("tokens", "input_tokens")),
            billed_units=billing_units(self._usage.get("billed_units"), anomalies),
        )
        return self._seen.reading(usage, anomalies, final=True)


class _Request(Wanted):
    query: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()


class Rerank(OpenAIDialect):
    """Rerankers; errors are told as OpenAI tells them."""

    name = "rerank"
    operations = (Operation("create", "POST", "/rerank"),)

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body. Raises BadRequest.

        The query is read, and billed, with each document (docs.voyageai.com, "Rerankers": query tokens times documents,
        and the documents').
        """
        del headers
        request = read_request(body, _Request)
        documents = max(items(request.documents), 1)
        again = len(raw_bytes(request.query)) * (documents - 1) if request.query else 0
        return Ask(
            model=request.model,
            output_cap=0,
            input_bytes=len(body),
            prompt_bytes=len(body) + again if again else None,
            prompts=documents,
        )

    def tally(self) -> Tally:
        """A fresh tally."""
        return RerankTally()


DIALECT = Rerank()
