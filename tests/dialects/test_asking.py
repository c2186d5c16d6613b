import json
from typing import Any

import pytest

from headgate.dialects.asking import Wanted, largest, read_request, whole
from headgate.errors import BadRequest


class Request(Wanted):
    n: Any = None


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
    assert largest(3, None, "9", 7) == 7
    assert largest(None, "9") is None
