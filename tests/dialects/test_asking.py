import json
from typing import Any

import msgspec
import pytest

from headgate.dialects.asking import (
    Wanted,
    budget,
    given,
    items,
    largest,
    prompts,
    raw_bytes,
    read_request,
    rows,
    runs_tools,
    times,
    whole,
)
from headgate.errors import BadRequest


class Request(Wanted):
    once = ("model", "stream", "n")
    bulk = ("messages",)

    n: Any = None
    messages: msgspec.Raw = msgspec.Raw()


@pytest.mark.parametrize(
    ("body", "model", "stream", "n"),
    [
        (b"{}", None, False, None),
        (b'{"model":"m","stream":true,"n":2}', "m", True, 2),
        (b'{"model":null,"stream":null}', None, False, None),
        (b'\xef\xbb\xbf {"model":"m"}', "m", False, None),  # a byte order mark
        (b'{"model":"m","text":"\\ud800"}', "m", False, None),  # a lone surrogate
        (b'{"model":"m","temperature":NaN,"n":1}', "m", False, 1),
        (b'{"messages":[{"model":"inner"},{"model":"inner"}],"model":"m"}', "m", False, None),
        (b'{"model":"mod\\u00e8le"}', "modèle", False, None),
    ],
)
def test_only_what_is_wanted_is_read(body: bytes, model: str | None, stream: bool, n: Any) -> None:
    request = read_request(body, Request)
    assert (request.model, request.stream, request.n) == (model, stream, n)


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "The request body is not valid JSON: Expecting value: line 1 column 1 (char 0).", None),
        (b'{"model":', "The request body is not valid JSON: Expecting value: line 1 column 10 (char 9).", None),
        (b'{"model":"m"} {}', "The request body is not valid JSON: Extra data: line 1 column 15 (char 14).", None),
        (b'{"model":"\xff"}', "The request body is not JSON: it is not UTF-8 text.", None),
        ('{"model":"m"}'.encode("utf-16"), "The request body is not JSON: it is not UTF-8 text.", None),
        (b"[" * 100_000, "The request body is nested too deeply.", None),
        (b"[]", "The request body must be a JSON object, not an array.", None),
        (b"null", "The request body must be a JSON object, not null.", None),
        (b'"model"', "The request body must be a JSON object, not a string.", None),
        (b"1.5", "The request body must be a JSON object, not a number.", None),
        (b'{"model":5}', "'model' must be a string, not a number.", "model"),
        (b'{"model":{"id":"m"}}', "'model' must be a string, not an object.", "model"),
        (b'{"stream":"true"}', "'stream' must be true or false, not a string.", "stream"),
        (b'{"stream":1}', "'stream' must be true or false, not a number.", "stream"),
        (b'{"model":true}', "'model' must be a string, not true or false.", "model"),
        (b'{"model":"a","model":"a"}', "The request body names 'model' more than once.", "model"),
        (b'{"mod\\u0065l":"a","model":"b"}', "The request body names 'model' more than once.", "model"),
        (b'{"stream":false,"stream":true}', "The request body names 'stream' more than once.", "stream"),
        (b'{"n":1,"n":2}', "The request body names 'n' more than once.", "n"),
        (b'{"N":1,"n":2}', "The request body names 'n' more than once.", "n"),
        (b'{"model":"a","Model":"b"}', "The request body names 'model' more than once.", "model"),
        (b'{"\\u004dodel":"a","model":"b"}', "The request body names 'model' more than once.", "model"),
        ('{"\u017ftream":true,"stream":false}'.encode(), "The request body names 'stream' more than once.", "stream"),
        (b'{"\\u017Ftream":true,"stream":false}', "The request body names 'stream' more than once.", "stream"),
        (b'{"n":9,"n":null}', "The request body names 'n' more than once.", "n"),
        (b'{"n":1,"\\u006e":2}', "The request body names 'n' more than once.", "n"),
        (b'{"n":1,"messages":"' + b"x" * 9000 + b'","n":2}', "The request body names 'n' more than once.", "n"),
    ],
)
def test_what_cannot_be_understood_is_told(body: bytes, message: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_request(body, Request)
    assert (refusal.value.message, refusal.value.param) == (message, param)


def test_a_large_body_is_read_whole_and_checked() -> None:
    body = json.dumps({"messages": ["é" * 5_000_000], "model": "m", "stream": True}).encode()
    request = read_request(body, Request)
    assert (request.model, request.stream) == ("m", True)


def test_whole_numbers() -> None:
    values = [0, 5, -1, True, 1.0, "5", None, [], 10**30]
    assert [whole(value) for value in values] == [0, 5, None, None, None, None, None, None, 10**30]
    assert [times(value) for value in values] == [1, 5, 1, 1, 1, 1, 1, 1, 10**30]
    assert budget(None, 3, "9", 7, -1) == 7
    assert budget(None) == 0


@pytest.mark.parametrize("invalid", [0, -1, 1.5, 100.0, float("nan"), "100", True, [], {}])
def test_a_cap_that_is_no_positive_integer_bounds_nothing(invalid: Any) -> None:
    """facts/stream_cases.md 10.16. A server that reads "100" as a number, or -1 as no limit, is not held to 9."""
    assert largest(invalid) is None
    assert largest(9, invalid) is None
    assert largest(invalid, 9) is None


def test_the_largest_cap_counts() -> None:
    """facts/stream_cases.md 1.32."""
    assert largest(3, None, 7) == 7
    assert largest(None) is None


def test_the_bulk_of_a_large_body_is_not_searched() -> None:
    inner = b'[{"n":1,"n":2}' + b',{"n":3}' * 1000 + b"]"
    request = read_request(b'{"n":7, "messages" : ' + inner + b"}", Request)
    assert (request.n, bytes(request.messages)) == (7, inner)
    # Where the bulk is not found at a glance, the whole body is searched, and nothing else is taken for a repeat.
    hidden = b'{"tool":{"messages":1},"n":7,"messages":' + inner + b"}"
    assert read_request(hidden, Request).n == 7


RAW: list[tuple[bytes, list[dict[str, Any]], int, int]] = [
    (b"", [], 0, 1),
    (b"null", [], 0, 1),
    (b'"a"', [], 1, 1),
    (b"[]", [], 0, 1),
    (b'["a","b"]', [], 2, 2),
    (b"[1,2,3]", [], 3, 1),  # the tokens of one prompt
    (b" [[1,2],[3]]", [], 2, 2),
    (b'[{"type":"x"},{}]', [{"type": "x"}, {}], 2, 2),
    (b'[{"type":"x"},5]', [{"type": "x"}], 2, 2),
    (b'{"a":1}', [], 1, 1),
]


@pytest.mark.parametrize(("text", "objects", "length", "several"), RAW)
def test_what_was_read_as_raw(text: bytes, objects: list[dict[str, Any]], length: int, several: int) -> None:
    for value in (msgspec.Raw(text), json.loads(text or b"null")):  # as read strictly, and leniently
        told = [{key: json.loads(raw_bytes(item)) for key, item in row.items()} for row in rows(value)]
        assert (told, items(value), prompts(value)) == (objects, length, several)


def test_a_lone_surrogate_hides_nothing() -> None:
    tools = b'[{"type":"web_search","note":"\\ud800"}]'
    request = read_request(b'{"messages":' + tools + b"}", Request)
    assert runs_tools(rows(request.messages), ("function",))


def test_whose_a_tool_is() -> None:
    def runs(*tools: dict[str, Any]) -> bool:
        return runs_tools(rows(msgspec.Raw(json.dumps(tools).encode())), ("function", "bash_"))

    assert not runs()
    assert not runs({"type": "function"}, {"name": "mine"}, {"type": "bash_2025"}, {"type": 5})
    assert runs({"type": "function"}, {"type": "web_search"})


def test_an_empty_object_is_given() -> None:
    assert given(None, {})
    assert not given(None, None)
