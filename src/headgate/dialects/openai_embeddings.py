"""POST /embeddings; never streamed (facts/wire.md section 1)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from headgate.dialects.asking import Wanted, prompts, read_request
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Ask, Operation, Tally
from headgate.dialects.openai_wire import OpenAIDialect, completion_usage
from headgate.dialects.reading import Anomalies, Counts, Seen, Shape, error_text, merge, parsed
from headgate.framing.base import Frame
from headgate.usage import Reading


class _Answer(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()


_ANSWER = Shape(_Answer)


class EmbeddingsTally(Tally):
    """Reads the usage that stands beside the vectors, which are passed over."""

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
        self._usage = merge(self._usage, parsed(answer.usage))
        if error := parsed(answer.error):
            seen.error = error_text(error, parsed(answer.code))

    @property
    def over(self) -> bool:
        """True once the answer has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen."""
        del ended
        anomalies = Anomalies()
        usage = completion_usage(self._usage, anomalies)
        if usage.input_tokens is None:  # some services report the total alone, and there is no output
            usage = replace(usage, input_tokens=Counts(self._usage, Anomalies()).get("total_tokens"))
        return self._seen.reading(usage, anomalies, final=True)


class _Request(Wanted):
    bulk: ClassVar[tuple[str, ...]] = ("input",)

    input: msgspec.Raw = msgspec.Raw()


class OpenAIEmbeddings(OpenAIDialect):
    """Embeddings."""

    name = "openai.embeddings"
    operations = (Operation("create", "POST", "/embeddings"),)

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body; nothing is generated, and each input has a context of its own. Raises BadRequest."""
        del headers
        request = read_request(body, _Request)
        ask = Ask(request.model, request.stream, 0, input_bytes=len(body), prompts=prompts(request.input))
        return with_attachments(ask, request.input)

    def tally(self) -> Tally:
        """A fresh tally."""
        return EmbeddingsTally()


DIALECT = OpenAIEmbeddings()
