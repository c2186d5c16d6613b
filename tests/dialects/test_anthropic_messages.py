import json

import pytest

from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Ask, Metering
from headgate.errors import (
    BadRequest,
    Busy,
    Forbidden,
    HeadgateError,
    NotFound,
    PaymentRequired,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unpriced,
    UpstreamCut,
    UpstreamTimeout,
)
from tests.dialects.playbook import read


def test_operations_and_what_they_mean_for_the_books() -> None:
    counted = {operation.path for operation in DIALECT.operations if operation.metering is Metering.COUNTED}
    free = {operation.path for operation in DIALECT.operations if operation.metering is Metering.FREE}
    assert counted == {"/messages"}
    assert free == {"/messages/count_tokens"}  # row 5.14


def test_what_an_ask_takes_from_a_request() -> None:
    body = b'{"model":"m","stream":true,"max_tokens":9,"messages":[],"thinking":{"budget_tokens":8}}'
    ask = DIALECT.read_ask(body, ())
    assert ask == Ask(model="m", stream=True, output_cap=9, input_bytes=len(body))
    assert DIALECT.with_usage_frame(body, ask) is None
    with pytest.raises(BadRequest):
        DIALECT.read_ask(b"[]", ())
    assert DIALECT.read_ask(b'{"metadata":{"user_id":"u_session_7"}}', ()).sticky_id == "u_session_7"
    assert DIALECT.read_ask(b'{"metadata":"u"}', ()).sticky_id is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("no"), "invalid_request_error"),
        (Unauthorized("no"), "authentication_error"),
        (PaymentRequired("no"), "billing_error"),
        (Forbidden("no"), "permission_error"),
        (Unpriced("no"), "permission_error"),
        (NotFound("no"), "not_found_error"),
        (RateLimited("no"), "rate_limit_error"),
        (TooLarge("no"), "request_too_large"),
        (Busy("no"), "overloaded_error"),
        (UpstreamTimeout("no"), "timeout_error"),
        (UpstreamCut("no"), "api_error"),
        (HeadgateError("no"), "api_error"),
    ],
)
def test_errors_have_anthropics_shape(error: HeadgateError, kind: str) -> None:
    told = {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "x1"}
    assert json.loads(DIALECT.error_body(error, "x1")) == told
    frame = DIALECT.error_frame(error, "x1")
    assert frame == b"event: error\ndata: " + json.dumps(told).encode() + b"\n\n"
    assert read("anthropic.messages", [frame]).in_stream_error == f"{kind}: no"
