import json

import pytest

from headgate.dialects.base import Ask
from headgate.dialects.openai_audio import DIALECT
from headgate.dialects.registry import recognise
from headgate.errors import BadRequest
from tests.dialects.test_multipart import SOUND, TYPE, form


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/audio/transcriptions", "transcribe"),
        ("POST", "/audio/translations", "translate"),
        ("POST", "/audio/speech", "speak"),
    ],
)
def test_its_operations(method: str, path: str, operation: str) -> None:
    match = recognise(method, path)
    assert match is not None
    assert (match.dialect, match.operation.name) == (DIALECT, operation)


def test_what_an_ask_takes_from_a_form() -> None:
    body = form(SOUND, ('name="model"', b"whisper-1"), ('name="stream"', b"true"))
    assert DIALECT.read_ask(body, [TYPE]) == Ask(
        model="whisper-1", stream=True, input_bytes=len(body), unbounded="audio"
    )


def test_what_an_ask_takes_from_json() -> None:
    for said, stream in (({}, False), ({"stream_format": "audio"}, False), ({"stream_format": "sse"}, True)):
        body = json.dumps({"model": "tts-1", "input": "Hi", **said}).encode()
        assert DIALECT.read_ask(body, ()) == Ask(model="tts-1", stream=stream, input_bytes=len(body), unbounded="audio")


def test_a_form_is_never_changed() -> None:
    body = form(SOUND, ('name="model"', b"openai/whisper-1"))
    with pytest.raises(BadRequest, match="X-Provider"):
        DIALECT.with_model(body, "whisper-1")
    assert DIALECT.with_model(b'{"model":"openai/tts-1"}', "tts-1") == b'{"model":"tts-1"}'
