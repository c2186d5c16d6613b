import gzip
import json

import pytest

from headgate.dialects.base import Answer, Ask, Meter, framing_of, with_estimate
from headgate.dialects.openai_chat import DIALECT
from headgate.framing.base import Framing
from headgate.framing.document import Document
from headgate.framing.sse import ServerSentEvents
from headgate.usage import Basis, Estimate, Reading, Usage
from tests.dialects.playbook import data, document, read, single_bytes

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
STREAM = data({"choices": [{"delta": {"content": "hey"}, "finish_reason": "stop"}], "usage": USAGE}, b"[DONE]")
DOCUMENT = document({"choices": [{"message": {"content": "hey"}, "finish_reason": "stop"}], "usage": USAGE})


@pytest.mark.parametrize(
    ("head", "framing"),
    [
        (b'{"id"', Document),
        (b"\n\n\n [", Document),  # row 7.14: blank lines keep a document's connection alive
        (b"\xef\xbb\xbf{", Document),
        (b"data: {", ServerSentEvents),
        (b"\xef\xbb\xbfdata: {", ServerSentEvents),  # row 8.6
        (b": comment", ServerSentEvents),
        (b"<html>", ServerSentEvents),
        (b"\xef\xbb?", ServerSentEvents),
        (b"", type(None)),
        (b" \r\n\t", type(None)),
        (b"\xef", type(None)),
        (b"\n\xef\xbb\xbf\n", type(None)),
    ],
)
def test_the_first_bytes_show_the_framing(head: bytes, framing: type[object]) -> None:
    assert type(framing_of(head)) is framing


@pytest.mark.parametrize("padding", [b"", b"\n\n\n", b"\r\n \r\n", b"\xef\xbb\xbf", b"\n\xef\xbb\xbf\n", b"\n" * 9999])
@pytest.mark.parametrize("body", [STREAM, DOCUMENT], ids=["stream", "document"])
def test_what_comes_before_a_body_does_not_matter(padding: bytes, body: bytes) -> None:
    """Rows 7.13 and 8.6: a stream may be called application/json, a document text/event-stream."""
    whole = read("openai.chat", [padding + body])
    assert whole.usage.input_tokens == 3
    assert read("openai.chat", single_bytes(padding + body)) == whole


@pytest.mark.parametrize("space", [b" ", b"\n \t", b"\xef\xbb\xbf\n  "])
def test_a_space_before_a_field_name_makes_another_field_of_it(space: bytes) -> None:
    body = space + STREAM
    whole = read("openai.chat", [body])
    assert whole.delivered_bytes == 0
    assert read("openai.chat", single_bytes(body)) == whole


def test_white_space_alone_is_nothing() -> None:
    assert read("openai.chat", [b"\n\n", b" "]) == Reading()


@pytest.mark.parametrize(("framing", "basis"), [(ServerSentEvents(), Basis.REPORTED), (Document(), Basis.ESTIMATED)])
def test_a_framing_that_is_told_overrides_the_first_byte(framing: Framing, basis: Basis) -> None:
    meter = Meter(DIALECT.tally(), Answer(200), framing=framing)
    meter.feed(STREAM)
    assert meter.finish(ended=True).basis is basis


def test_content_encodings_are_undone() -> None:
    """Row 8.17."""
    squeezed = gzip.compress(STREAM, mtime=0)
    meter = Meter(DIALECT.tally(), Answer(200, content_encoding="gzip"))
    for piece in single_bytes(squeezed):
        meter.feed(piece)
    assert meter.finish(ended=True) == read("openai.chat", [STREAM])


def test_what_was_lost_is_an_anomaly() -> None:
    meter = Meter(DIALECT.tally(), Answer(200, content_encoding="gzip"))
    meter.feed(b"this is not gzip")
    assert meter.finish(ended=True).anomalies == {"undecodable_encoding": 1}

    assert read("openai.chat", [STREAM[:-1]]).anomalies == {"unterminated_frame": 1}  # row 8.12
    assert read("openai.chat", [STREAM[:-1]]).terminal_evidence == "[DONE]"

    meter = Meter(DIALECT.tally(), Answer(200), framing=ServerSentEvents(bound=1024))
    meter.feed(data({"choices": [{"delta": {"content": "x" * 2000}}]}) + STREAM)  # row 8.13
    reading = meter.finish(ended=True)
    assert (reading.anomalies, reading.usage.output_tokens) == ({"frame_over_bound": 1}, 1)


def test_an_error_status_is_not_estimated() -> None:
    cut = data({"choices": [{"delta": {"content": "hey"}}]})
    assert read("openai.chat", [cut], status=500).basis is Basis.NONE
    assert read("openai.chat", [cut], status=200).basis is Basis.ESTIMATED


SAID = Usage(input_tokens=7, output_tokens=2)


@pytest.mark.parametrize(
    ("reading", "input_bytes", "basis", "estimate"),
    [
        (Reading(SAID, Basis.REPORTED, delivered_bytes=9), 40, Basis.REPORTED, None),
        (Reading(), 40, Basis.NONE, None),
        (Reading(delivered_bytes=9), 41, Basis.ESTIMATED, Estimate(11, 3)),
        (Reading(delivered_bytes=9), 0, Basis.ESTIMATED, Estimate(None, 3)),  # no request known, no input guessed
        (Reading(SAID, Basis.PARTIAL, delivered_bytes=9), 41, Basis.PARTIAL, Estimate(None, 3)),
        (Reading(Usage(input_tokens=7), Basis.PARTIAL), 41, Basis.PARTIAL, Estimate(None, 0)),
    ],
)
def test_only_what_was_not_reported_is_estimated(
    reading: Reading, input_bytes: int, basis: Basis, estimate: Estimate | None
) -> None:
    estimated = with_estimate(reading, input_bytes)
    assert (estimated.basis, estimated.estimate, estimated.usage) == (basis, estimate, reading.usage)


def test_the_ask_gives_the_input_estimate() -> None:
    cut = data({"choices": [{"delta": {"content": "hello"}}]})
    reading = read("openai.chat", [cut], ended=False, ask=Ask(input_bytes=100))
    assert reading.estimate == Estimate(25, 2)


def test_a_model_is_set_by_splicing() -> None:
    body = b'{ "n": 1.0, "model" : "groq/m\\u00e9", "seed": 12345678901234567890 }'
    assert DIALECT.with_model(body, 'm"é') == '{ "n": 1.0, "model" : "m\\"é", "seed": 12345678901234567890 }'.encode()


def counted(number: int) -> bytes:
    """A chunk with the running usage, as some providers send it with every one."""
    usage = {"prompt_tokens": 10, "completion_tokens": number, "total_tokens": 10 + number}
    said = {"id": "a", "choices": [{"index": 0, "delta": {"content": "word "}}], "usage": usage}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def test_a_body_that_ends_within_a_frame_has_not_ended() -> None:
    """Where HTTP tells no length, a connection that closes in the middle looks like the end."""
    body = counted(1) + counted(2)
    for cut in range(len(body)):
        reading = read("openai.chat", [body[:cut]])
        within = cut not in {0, len(counted(1))} and not body[cut:].startswith((b"\n\n", b"\n"))
        assert (reading.basis is Basis.REPORTED) == (reading.usage.output_tokens is not None and not within), cut
    zipped = gzip.compress(body * 20, mtime=0)
    for cut in range(20, len(zipped) + 1):
        meter = DIALECT.meter(Answer(200, content_encoding="gzip"))
        meter.feed(zipped[:cut])
        assert (meter.finish(ended=True).basis is Basis.REPORTED) == (cut == len(zipped)), cut
