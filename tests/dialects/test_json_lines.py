import pytest

from headgate.dialects.base import Answer
from headgate.dialects.json_lines import framing_of_lines, lines_of
from headgate.framing.document import Document
from headgate.framing.ndjson import JsonLines
from headgate.framing.sse import ServerSentEvents


@pytest.mark.parametrize(
    ("body", "framing"),
    [
        (b'{"done":false}\n{"done":true}\n', JsonLines),
        (b'\n\xef\xbb\xbf\n{"done":false}', JsonLines),
        (b"{}", JsonLines),
        (b'{\n "done": true}', Document),
        (b'{ "done": true}', Document),
        (b"[1]", Document),
        (b"data: {}\n\n", ServerSentEvents),
        (b"event: x\n\n", ServerSentEvents),
    ],
)
def test_the_framing_and_nothing_before_it_is_known(body: bytes, framing: type) -> None:
    found = [framing_of_lines(body[:end], Answer(200, "text/plain")) for end in range(len(body) + 1)]
    assert isinstance(found[-1], framing)
    first = next(at for at, one in enumerate(found) if one is not None)
    assert {type(one) for one in found[first:]} == {framing}


def test_what_calls_itself_a_document_is_one() -> None:
    for content_type in ("", "application/json", "Application/JSON; charset=utf-8"):
        assert isinstance(framing_of_lines(b'{"a":1}', Answer(200, content_type)), Document)
        assert framing_of_lines(b" ", Answer(200, content_type)) is None


def test_lines() -> None:
    assert lines_of(b'{"a":1}\n\n{"b":2}\r\n') == [b'{"a":1}', b'{"b":2}\r']
    assert lines_of(b'{"a":1}\n') == []
