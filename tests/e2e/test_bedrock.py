"""boto3, unmodified, through the gateway, against an upstream that plays recordings and checks each signature.

The client signs for the gateway's address with credentials that the provider does not know; what goes on is signed
anew. The oracle is botocore's own signer, over what was received.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any, NamedTuple
from urllib.parse import unquote

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError

from headgate.providers.base import Deployment, Secret
from headgate.providers.bedrock import PROVIDER
from headgate.records import Ending, Record
from headgate.testing.corpus import Case
from headgate.testing.upstream import Close, Coding, Received, Script, ScriptedUpstream, chunk, head, response
from headgate.usage import Basis
from tests.dialects import expected
from tests.dialects.playbook import aws_exception
from tests.e2e.running import Running, serving

OURS = {"access_key_id": "AKIDOURS", "secret_access_key": "ours/secret+", "session_token": "ours+token=="}
THEIRS = {"aws_access_key_id": "AKIDTHEIRS", "aws_secret_access_key": "theirs", "aws_session_token": "theirs"}
REGION = "eu-west-1"
MODEL = "bedrock/us.amazon.nova-lite-v1:0"
"""The prefix is the gateway's, and is gone when the upstream sees the request."""
MESSAGES = [{"role": "user", "content": [{"text": "Hi"}]}]

CASES = {
    case.id: case
    for case in expected.cases(
        "bedrock.converse", "bedrock.converse-stream", "bedrock.invoke", "bedrock.invoke-with-response-stream"
    )
}


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running


@asynccontextmanager
async def stage(*, api_key: str | None = None, keys: dict[str, str] | None = None) -> AsyncIterator[Stage]:
    """A gateway whose Bedrock has our access keys, or an API key."""
    async with ScriptedUpstream(lambda _: []) as upstream:
        deployment = Deployment(
            "bedrock",
            PROVIDER,
            PROVIDER.root(upstream.url),
            Secret(api_key) if api_key else None,
            options={"region": REGION},
            secrets={name: Secret(value) for name, value in OURS.items()},
        )
        async with serving((deployment,), keys=keys) as gateway:
            yield Stage(upstream, gateway)


def boto(gateway: Running) -> Any:
    """A client; to be closed."""
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=True)
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=gateway.url,
        config=config,
        **THEIRS,
    )


def check_signature(request: Received) -> None:
    """What botocore makes of the request as it was received must be what it carries."""
    given = {name.decode(): value.decode() for name, value in request.headers}
    scheme, _, told = given["authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in told.split(", "))
    assert scheme == "AWS4-HMAC-SHA256"
    assert parts["Credential"] == f"AKIDOURS/{given['x-amz-date'][:8]}/{REGION}/bedrock/aws4_request"
    assert given["x-amz-security-token"] == OURS["session_token"]
    signed = {name: given[name] for name in parts["SignedHeaders"].split(";")}
    assert {"host", "accept-encoding", "x-amz-date", "x-amz-security-token"} <= signed.keys()
    again = AWSRequest("POST", f"http://{given['host']}{request.target.decode()}", headers=signed, data=request.body)
    again.context["timestamp"] = given["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDOURS", OURS["secret_access_key"], OURS["session_token"]), "bedrock", REGION)
    canonical = auth.canonical_request(again)
    assert parts["Signature"] == auth.signature(auth.string_to_sign(again, canonical), again)


def play(case: Case) -> Callable[[Received], Script]:
    def handler(request: Received) -> Script:
        check_signature(request)
        counted = [(name.encode(), count.encode()) for name, count in case.usage_headers.items()]
        coding = Coding.CHUNKED if case.stream else Coding.LENGTH
        return response(
            [case.body[at : at + 700] for at in range(0, len(case.body), 700)],
            case.status,
            content_type=case.content_type,
            headers=[*counted, (b"x-amzn-requestid", b"r-1")],
            coding=coding,
        )

    return handler


def converse(client: Any) -> Any:
    answer = client.converse(modelId=MODEL, messages=MESSAGES)
    return answer["output"]["message"], answer["usage"]


def converse_stream(client: Any) -> Any:
    with closing(client.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]) as stream:
        events = list(stream)
    return [event for event in events if "metadata" not in event], events[-1]["metadata"]["usage"]


def invoke(client: Any) -> Any:
    answer = client.invoke_model(modelId=MODEL, body=json.dumps({"prompt": "Hi"}))
    return json.loads(answer["body"].read()), None


def invoke_stream(client: Any) -> Any:
    answer = client.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps({"prompt": "Hi"}))
    with closing(answer["body"]) as stream:
        return [json.loads(event["chunk"]["bytes"]) for event in stream], None


CALLS = {
    "bedrock.converse": ("converse", converse),
    "bedrock.converse-stream": ("converse-stream", converse_stream),
    "bedrock.invoke": ("invoke", invoke),
    "bedrock.invoke-with-response-stream": ("invoke-with-response-stream", invoke_stream),
}


PICKED = [
    CASES[name]
    for name in (
        "pydantic-ai--test_bedrock-test_bedrock_cache_messages_with_document_as_last_content-1",
        "openinference--cassettes-TestNovaInvokeModel.test_nova_converse",
        "openinference--cassettes-TestConverseStream.test_invoke_text_message",
        "pydantic-ai--test_bedrock-test_bedrock_model_code_execution_tool_stream",
        "opentelemetry-python-contrib--cassettes-test_invoke_model_no_content-cohere.command-r",
        "openinference--cassettes-TestClaudeInvokeModelMessageApi.test_invoke_model",
        "openinference--cassettes-TestInvokeModelWithStreamResponse.test_invoke",
        "openinference--cassettes-TestNovaInvokeModelWithResponseStream.test_nova_micro_streaming",
        "req_llm--openai_gpt_oss_120b_1_0-object_streaming",
    )
]
"""Of each operation, recordings of several models."""


async def only_record(gateway: Running) -> Record:
    (record,) = await gateway.log.all(1)
    return record


@pytest.mark.parametrize("case", PICKED, ids=expected.name)
async def test_boto3_reads_a_recording_through_the_gateway(case: Case) -> None:
    path, call = CALLS[case.wire_dialect]
    async with stage() as (upstream, gateway):
        upstream.handler = play(case)
        with closing(boto(gateway)) as client:
            content, usage = await asyncio.to_thread(call, client)
        record = await only_record(gateway)
    assert content
    assert unquote(upstream.requests[0].path) == f"/model/us.amazon.nova-lite-v1:0/{path}"
    assert record.reading.usage == expected.usage(case)
    if usage is not None:
        cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
        assert record.reading.usage.input_tokens == usage["inputTokens"] + cached
        assert record.reading.usage.output_tokens == usage["outputTokens"]
    assert (record.ending, record.reading.basis) == (Ending.COMPLETE, Basis.REPORTED)
    assert (record.model_asked, record.streamed) == (MODEL, case.stream)
    assert record.bytes_in == record.bytes_out == len(case.body)


def behind_tls(request: AWSPreparedRequest, **_: Any) -> None:
    """Stands for what ends TLS in front of a gateway: boto3 sends a bearer token to an https address only."""
    request.url = request.url.replace("https:", "http:", 1)


async def test_a_gateway_key_comes_as_a_bedrock_api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["openinference--cassettes-TestNovaInvokeModel.test_nova_converse"]
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "a-key-of-the-gateway")
    async with stage(api_key="the-providers", keys={"team": "a-key-of-the-gateway"}) as (upstream, gateway):
        upstream.handler = lambda _: response([case.body], content_type=case.content_type)
        secure = gateway.url.replace("http:", "https:")
        with closing(boto3.client("bedrock-runtime", "us-east-1", endpoint_url=secure)) as client:
            client.meta.events.register("before-send.bedrock-runtime", behind_tls)
            await asyncio.to_thread(converse, client)
        record = await only_record(gateway)
    (sent,) = upstream.requests
    assert sent.header(b"authorization") == b"Bearer the-providers"
    assert sent.header(b"x-amz-date") is None
    assert record.key == "team"


async def test_boto3_knows_the_gateways_own_errors() -> None:
    async with stage(keys={"team": "a-key-of-the-gateway"}) as (_, gateway):
        with closing(boto(gateway)) as client, pytest.raises(ClientError) as caught:
            await asyncio.to_thread(converse, client)
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert "This gateway needs one of its own keys" in str(caught.value)


async def test_boto3_is_told_that_a_stream_broke_off() -> None:
    case = CASES["openinference--cassettes-TestConverseStream.test_invoke_text_message"]
    first = case.body[: int.from_bytes(case.body[:4])]
    async with stage() as (upstream, gateway):
        upstream.handler = lambda _: [head(content_type=case.content_type), chunk(first), Close()]
        with closing(boto(gateway)) as client, pytest.raises(EventStreamError, match="internalServerException"):
            await asyncio.to_thread(converse_stream, client)
        record = await only_record(gateway)
    assert record.ending is Ending.UPSTREAM_CUT


async def test_boto3_is_told_what_failed_in_a_stream() -> None:
    case = CASES["openinference--cassettes-TestConverseStream.test_invoke_text_message"]
    first = case.body[: int.from_bytes(case.body[:4])]
    failure = aws_exception("throttlingException", {"message": "Slow down"})
    async with stage() as (upstream, gateway):
        upstream.handler = lambda _: response([first, failure], content_type=case.content_type)
        with closing(boto(gateway)) as client, pytest.raises(EventStreamError, match=r"throttlingException.*Slow down"):
            await asyncio.to_thread(converse_stream, client)
        record = await only_record(gateway)
    assert (record.ending, record.reading.in_stream_error) == (Ending.UPSTREAM_ERROR, "throttlingException: Slow down")
    assert record.bytes_in == record.bytes_out == len(first + failure)


async def test_counting_tokens_is_free() -> None:
    async with stage() as (upstream, gateway):
        upstream.handler = lambda _: response([b'{"inputTokens": 9}'])
        with closing(boto(gateway)) as client:
            counted = await asyncio.to_thread(
                client.count_tokens, modelId=MODEL, input={"converse": {"messages": MESSAGES}}
            )
        record = await only_record(gateway)
    assert counted["inputTokens"] == 9
    assert (record.billable, record.reading.basis) == (False, Basis.NONE)
    check_signature(upstream.requests[0])
