"""The signature against botocore's: of generated requests, and of those that a real client sends."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.base import Secret
from headgate.providers.sigv4 import SIGNATURE_HEADERS, Credentials, sign

Headers = list[tuple[bytes, bytes]]
NOW = 1_795_183_629
HOST = b"bedrock-runtime.us-east-1.amazonaws.com"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"


def ours(
    target: bytes,
    headers: Headers,
    *,
    method: bytes = b"POST",
    host: bytes = HOST,
    body: bytes = b"{}",
    token: str | None = None,
    now: int = NOW,
) -> dict[bytes, bytes]:
    credentials = Credentials("AKIDEXAMPLE", Secret("secret/key+"), Secret(token) if token else None)
    added = sign(
        method, host, target, headers, body, region="us-east-1", service="bedrock", credentials=credentials, now=now
    )
    assert len(dict(added)) == len(added)
    return dict(added)


def theirs(
    target: bytes, headers: Headers, *, method: bytes, host: bytes, body: bytes, token: str | None, now: int
) -> dict[bytes, bytes]:
    """The headers that botocore adds to the request."""
    request = AWSRequest(method.decode(), f"https://{host.decode()}{target.decode()}", data=body)
    request.headers = HTTPHeaders()
    for name, value in headers:
        request.headers.add_header(name.decode(), value.decode())
    at = datetime.fromtimestamp(now, UTC)
    with patch("botocore.auth.get_current_datetime", return_value=at):
        SigV4Auth(TheirCredentials("AKIDEXAMPLE", "secret/key+", token), "bedrock", "us-east-1").add_auth(request)
    names = [name.lower().encode() for name in request.headers]
    values = [value.encode() for value in request.headers.values()]
    return {name: value for name, value in zip(names, values, strict=True) if name in SIGNATURE_HEADERS}


SEGMENTS = st.one_of(
    st.sampled_from(["model", "converse-stream", "invoke", "", ".", "..", "anthropic.claude-sonnet-5-v1%3A0"]),
    st.just(quote(ARN, safe="")),
    st.text(max_size=6).map(lambda text: quote(text, safe="")),
    st.text("aZ0-._~:@!$&'()*+,;=", max_size=6),
)
PARTS = st.text(max_size=4).map(lambda text: quote(text, safe=""))
PAIRS = st.one_of(PARTS, st.tuples(PARTS, PARTS).map("=".join), st.sampled_from(["a=2", "a=1", "a", "b=c=d", ""]))
TARGETS = st.builds(
    lambda segments, pairs: ("/" + "/".join(segments) + ("?" + "&".join(pairs) if pairs else "")).encode(),
    st.lists(SEGMENTS, max_size=5),
    st.lists(PAIRS, max_size=4),
)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=10).filter(
    lambda name: name not in {"date", "host", "x-amz-content-sha256"}  # botocore takes these for its own
)
KNOWN = st.sampled_from([
    "content-type", "x-amzn-bedrock-accept", "user-agent", "te", "traceparent", "x-amzn-trace-id", "amz-sdk-request",
    "expect", "x-amz-date", "x-amz-security-token-2", "authorization",
])  # fmt: skip
VALUES = st.text("".join(map(chr, range(32, 127))) + "\t", max_size=12)
HEADERS = st.lists(st.tuples((KNOWN | TOKENS).map(str.encode), VALUES.map(str.encode)), max_size=6)


@given(
    target=TARGETS,
    headers=HEADERS,
    method=st.sampled_from([b"POST", b"GET", b"post"]),
    host=st.sampled_from([HOST, b"127.0.0.1:8080", b"localhost"]),
    body=st.binary(max_size=20),
    token=st.none() | st.just("token/+=="),
    now=st.integers(0, 253_402_300_799),
)
def test_any_request_is_signed_as_botocore_signs_it(target: bytes, headers: Headers, **given: Any) -> None:
    assert ours(target, headers, **given) == theirs(target, headers, **given)


def test_a_model_id_is_encoded_twice_in_what_is_signed() -> None:
    """As AWS has it: a path that is not encoded again gives another signature."""
    once = f"/model/{quote(ARN, safe='')}/converse".encode()
    assert ours(once, []) == theirs(once, [], method=b"POST", host=HOST, body=b"{}", token=None, now=NOW)
    assert ours(once, []) != ours(f"/model/{ARN}/converse".encode(), [])


def test_the_vanilla_request_of_aws_own_test_suite() -> None:
    """get-vanilla of the suite that AWS published for this version of its signature."""
    credentials = Credentials("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
    added = sign(
        b"GET", b"example.amazonaws.com", b"/", [], b"",
        region="us-east-1", service="service", credentials=credentials, now=1_440_938_160,
    )  # fmt: skip
    assert added == [
        (b"x-amz-date", b"20150830T123600Z"),
        (
            b"authorization",
            (
                b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                b"SignedHeaders=host;x-amz-date, "
                b"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            ),
        ),
    ]


class Sent(Exception):
    """What a real client was about to send."""


@pytest.fixture(scope="module")
def client() -> Any:
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret/key+", "token/+==")
    made = session.create_client(
        "bedrock-runtime", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1})
    )

    def stop(request: Any, **_: Any) -> None:
        raise Sent(request)

    made.meta.events.register("before-send.bedrock-runtime", stop)
    return made


MESSAGES = [{"role": "user", "content": [{"text": "hé"}]}]
CALLS: dict[str, dict[str, Any]] = {
    "converse": {"modelId": ARN, "messages": MESSAGES},
    "converse_stream": {"modelId": "us.anthropic.claude-sonnet-5-v1:0", "messages": MESSAGES},
    "invoke_model": {"modelId": "amazon.titan-text-lite-v1", "body": b"{}", "accept": "application/json"},
    "invoke_model_with_response_stream": {"modelId": ARN, "body": b'{"prompt":"x"}', "trace": "ENABLED"},
    "count_tokens": {"modelId": "meta.llama4:0", "input": {"converse": {"messages": MESSAGES}}},
}


@pytest.mark.parametrize("call", CALLS)
def test_what_the_real_client_sends_is_signed_the_same(client: Any, call: str) -> None:
    with pytest.raises(Sent) as caught:
        getattr(client, call)(**CALLS[call])
    (request,) = caught.value.args
    sent = {
        name.lower().encode(): value if isinstance(value, bytes) else value.encode()
        for name, value in request.headers.items()
    }
    signed_names = sent[b"authorization"].partition(b"SignedHeaders=")[2].partition(b",")[0].split(b";")
    now = int(datetime.strptime(sent[b"x-amz-date"].decode(), "%Y%m%dT%H%M%S%z").timestamp())
    url = urlsplit(request.url)
    passed = [pair for pair in sent.items() if pair[0] in signed_names]
    signature = ours(
        url.path.encode(), passed, host=url.netloc.encode(), body=request.body or b"", token="token/+==", now=now
    )
    assert signature == {name: value for name, value in sent.items() if name in SIGNATURE_HEADERS}


def test_a_signature_that_the_client_sent_is_left_out() -> None:
    own = [(name, b"theirs") for name in SIGNATURE_HEADERS]
    assert ours(b"/", own) == ours(b"/", [])


def test_credentials_do_not_print_themselves() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", Secret("hush"), Secret("token")))
    assert "hush" not in shown
    assert "token'" not in shown


@pytest.mark.parametrize(
    ("now", "date"),
    [
        (0, b"19700101T000000Z"),
        (951_782_399, b"20000228T235959Z"),
        (951_782_400, b"20000229T000000Z"),
        (951_868_800, b"20000301T000000Z"),
        (1_735_689_599, b"20241231T235959Z"),
        (4_107_542_400, b"21000301T000000Z"),
        (253_402_300_799, b"99991231T235959Z"),
    ],
)
def test_the_date_is_the_calendar_s(now: int, date: bytes) -> None:
    assert ours(b"/", [], now=now)[b"x-amz-date"] == date
