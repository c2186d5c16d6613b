"""What OpenAI's audio and images have in common, and no dialect itself: forms, bodies without usage, usage shapes.

Usage comes as `usage` of an answer or of a stream's last event, with `input_token_details` (audio) or
`input_tokens_details` (images), or as seconds of audio where the model is billed by them. Whisper, speech as plain
audio, subtitles and DALL-E report none: such an answer is noted as `unmetered`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from headgate.dialects import multipart
from headgate.dialects.asking import Wanted, items, read_request, times
from headgate.dialects.attachments import PICTURE_TOKENS
from headgate.dialects.base import Answer, Ask, Tally, framing_of
from headgate.dialects.openai_wire import OpenAIDialect
from headgate.dialects.reading import Anomalies, Counts, Seen, Shape, check_parts, error_text, merge, parsed, size
from headgate.dialects.units import billing_units
from headgate.framing.base import Frame, Framing
from headgate.framing.opaque import Opaque
from headgate.usage import Reading, Usage

_READABLE = ("application/json", "text/event-stream")


class _Body(msgspec.Struct):
    """A whole answer, or an event of a stream."""

    type: str | None = None
    delta: str | None = None
    text: str | None = None
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_BODY = Shape(_Body)
_ENDINGS = (".done", ".completed")


class MediaTally(Tally):
    """Reads answers of these endpoints; pictures and sound are passed over."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage: Mapping[str, Any] = {}
        self._readable = True
        self._refused = False

    def head(self, answer: Answer) -> None:
        """Take the content type: it tells a body in which there is nothing to read."""
        self._readable = is_readable(answer)
        self._refused = answer.status >= 400

    def event(self, frame: Frame) -> None:
        """Take an event."""
        if frame.data and frame.data[:6] != b"[DONE]":
            self._take(frame.data)

    def document(self, body: bytes) -> None:
        """Take a whole answer."""
        if self._take(body):
            self._seen.terminal = "document"

    def _take(self, data: bytes) -> bool:
        seen, said = self._seen, _BODY.read(data)
        if said is None:
            seen.anomalies["not_json"] += 1
            return False
        if said.type and said.type.endswith(_ENDINGS):
            seen.terminal = said.type
        seen.model = said.model or seen.model
        seen.delivered += size(said.delta)
        self._usage = merge(self._usage, parsed(said.usage))
        if error := parsed(said.error):
            seen.error = error_text(error)
        return True

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. A body without frames is whole when it ends."""
        seen = self._seen
        if ended and not self._readable:
            seen.terminal = "end of body"
        anomalies = Anomalies()
        usage = media_usage(self._usage, anomalies)
        if usage.is_empty and seen.terminal is not None and not self._refused and seen.error is None:
            anomalies["unmetered"] += 1
        return seen.reading(usage, anomalies, final=ended or seen.terminal is not None)


def is_readable(answer: Answer) -> bool:
    """False for what is neither JSON nor an event stream: sound, subtitles. Unnamed content may be anything."""
    return not answer.content_type or answer.content_type.lower().startswith(_READABLE)


def media_usage(raw: Mapping[str, Any], anomalies: Anomalies) -> Usage:
    """Tokens by modality, or seconds (the endpoints' types in the SDK openai 3.52.0; Mistral's spelling, its docs)."""
    counts = Counts(raw, anomalies)

    def part(side: str, *modality: str) -> int | None:
        return counts.first((f"{side}_token_details", *modality), (f"{side}_tokens_details", *modality))

    seconds = raw.get("seconds", raw.get("prompt_audio_seconds"))
    usage = Usage(
        input_tokens=counts.first(("input_tokens",), ("prompt_tokens",)),
        cache_read_tokens=part("input", "cached_tokens"),
        cache_read_audio_tokens=part("input", "cached_tokens_details", "audio_tokens"),
        cache_read_image_tokens=part("input", "cached_tokens_details", "image_tokens"),
        input_audio_tokens=part("input", "audio_tokens"),
        input_image_tokens=part("input", "image_tokens"),
        output_tokens=counts.first(("output_tokens",), ("completion_tokens",)),
        output_audio_tokens=part("output", "audio_tokens"),
        output_image_tokens=part("output", "image_tokens"),
        billed_units=billing_units({"seconds": seconds}, anomalies),
    )
    return check_parts(usage, anomalies)


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = ("model", "stream", "n")

    stream_format: Any = None
    n: Any = None
    images: msgspec.Raw = msgspec.Raw()


class MediaDialect(OpenAIDialect):
    """An API of OpenAI's whose requests are forms or JSON, and whose answers may be anything.

    Nothing in a request bounds what is made: a picture's tokens depend on the size and the quality that the model
    chooses, speech on how it is read aloud, a transcript on what is said, and some models are billed by the picture or
    by the second.
    """

    makes: str
    """What: the reason why it is unbounded."""
    takes_pictures: bool = False
    """The files of its forms are pictures; otherwise sound, whose tokens are far fewer than its bytes."""

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body. Raises BadRequest."""
        if multipart.is_form(headers):
            ask = multipart.read_form(body, headers)
            pictures = ask.attachments if self.takes_pictures else 0
            return replace(
                ask,
                attachments=pictures,
                attachment_tokens=PICTURE_TOKENS if pictures else 0,
                prompt_bytes=ask.prompt_bytes if pictures else None,
                unbounded=self.makes,
            )
        request = read_request(body, _Request)
        ask = Ask(
            request.model,
            stream=request.stream or request.stream_format == "sse",
            choices=times(request.n),
            input_bytes=len(body),
            unbounded=self.makes,
        )
        pictures = items(request.images)
        return replace(ask, attachments=pictures, attachment_tokens=PICTURE_TOKENS) if pictures else ask

    def tally(self) -> Tally:
        """A fresh tally."""
        return MediaTally()

    def framing(self, head: bytes, answer: Answer) -> Framing | None:
        """By the first byte, where there is anything to read."""
        return framing_of(head) if is_readable(answer) else Opaque()

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body with its top-level `model` set. Raises BadRequest for a form: forms pass byte for byte."""
        if body.startswith(b"--") or body[:2] == b"\r\n":
            raise multipart.refuse_edit(model)
        return super().with_model(body, model)
