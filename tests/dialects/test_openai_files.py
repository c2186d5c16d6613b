import pytest

from headgate.dialects.base import Answer, Ask, Metering
from headgate.dialects.openai_files import DIALECT
from headgate.dialects.registry import recognise
from headgate.usage import Usage
from tests.dialects.test_multipart import TYPE, form


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/files", "upload"),
        ("POST", "/moderations", "moderate"),
        ("POST", "/uploads/upload_1/parts", "add_upload_part"),
    ],
)
def test_it_costs_nothing(method: str, path: str, operation: str) -> None:
    match = recognise(method, path)
    assert match is not None
    assert (match.dialect, match.operation.name) == (DIALECT, operation)
    assert match.operation.metering is Metering.FREE


def test_what_an_ask_takes_from_a_request() -> None:
    upload = form(('name="purpose"', b"batch"), ('name="file"; filename="b.jsonl"', b'{"model":"m"}'))
    assert DIALECT.read_ask(upload, [TYPE]) == Ask(input_bytes=len(upload))
    body = b'{"model":"omni-moderation-latest","input":"x"}'
    assert DIALECT.read_ask(body, ()) == Ask(model="omni-moderation-latest", input_bytes=len(body))


def test_it_finds_no_usage() -> None:
    meter = DIALECT.meter(Answer(200, "application/json"))
    meter.feed(b'{"id":"batch_1"}')
    assert meter.finish(ended=True).usage == Usage()
