import re

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from headgate.errors import ConfigError
from headgate.providers.base import Deployment, Outbound
from headgate.providers.bedrock import PROVIDER
from headgate.providers.registry import from_environment
from tests.providers import bearer, deployed, url

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/key+"}
AT_NS = 1_795_183_629 * 10**9 + 5
TARGET = "/model/amazon.nova-lite-v1%3A0/converse"


def outbound(deployment: Deployment) -> Outbound:
    headers = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]
    return Outbound(b"POST", deployment.host_header, TARGET.encode(), headers, b"{}", AT_NS)


def credential(deployment: Deployment) -> dict[bytes, bytes]:
    return dict(deployment.credential_headers(outbound(deployment)))


def test_an_api_key_is_a_bearer_token() -> None:
    bedrock = deployed(AWS_BEARER_TOKEN_BEDROCK="abc", AWS_REGION="eu-west-1", **KEYS)
    assert bedrock.credential_headers(outbound(bedrock)) == bearer("abc")


@pytest.mark.parametrize("dialect", ["bedrock.converse", "bedrock.invoke"])
def test_its_address_is_its_regions(dialect: str) -> None:
    first = deployed(AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="us-east-1", **KEYS)
    assert url(first, dialect, TARGET) == "https://bedrock-runtime.eu-west-1.amazonaws.com" + TARGET
    second = deployed(AWS_DEFAULT_REGION="us-east-1", **KEYS)
    assert url(second, dialect, TARGET) == "https://bedrock-runtime.us-east-1.amazonaws.com" + TARGET
    moved = deployed(AWS_BEARER_TOKEN_BEDROCK="abc", AWS_ENDPOINT_URL_BEDROCK_RUNTIME="http://127.0.0.1:9/")
    assert url(moved, dialect, TARGET) == "http://127.0.0.1:9" + TARGET


@pytest.mark.parametrize("token", [None, "session/token=="])
def test_access_keys_sign_as_botocore_does(token: str | None) -> None:
    """The Authorization header that botocore makes of what was signed, at the time that was signed."""
    extra = {"AWS_SESSION_TOKEN": token} if token else {}
    added = {
        name.decode(): value.decode()
        for name, value in credential(deployed(AWS_REGION="eu-west-1", **KEYS, **extra)).items()
    }
    assert added.get("x-amz-security-token") == token
    auth = SigV4Auth(
        Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], token), "bedrock", "eu-west-1"
    )
    headers = {"content-type": "application/json", "accept-encoding": "identity", "x-amz-date": added["x-amz-date"]}
    if token:
        headers["x-amz-security-token"] = token
    request = AWSRequest(
        "POST", "https://bedrock-runtime.eu-west-1.amazonaws.com" + TARGET, headers=headers, data=b"{}"
    )
    request.context["timestamp"] = added["x-amz-date"]
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert added["authorization"].endswith(f"Signature={signature}")
    assert "/20261120/eu-west-1/bedrock/aws4_request" in added["authorization"]


def test_keys_that_other_programs_use_make_no_provider_without_a_region() -> None:
    assert from_environment(KEYS) == []
    assert from_environment({"AWS_ACCESS_KEY_ID": "AKID", "AWS_REGION": "eu-west-1"}) == []
    assert from_environment({"AWS_REGION": "eu-west-1"}) == []


def test_an_api_key_needs_a_region() -> None:
    with pytest.raises(ConfigError, match=r"AWS_REGION, AWS_DEFAULT_REGION: expected the option 'region'"):
        from_environment({"AWS_BEARER_TOKEN_BEDROCK": "abc"})


def test_secrets_do_not_print_themselves() -> None:
    bedrock = deployed(AWS_REGION="eu-west-1", AWS_SESSION_TOKEN="tok-1", **KEYS)
    assert not re.search(r"secret/key|tok-1|AKID", repr(bedrock))


def test_its_names() -> None:
    assert PROVIDER.recognises("amazon.nova-lite-v1:0")
    assert PROVIDER.recognises("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert PROVIDER.recognises("moonshot.kimi-k2-thinking")
    assert PROVIDER.recognises("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2")
    assert PROVIDER.recognises("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1")
    assert not PROVIDER.recognises("claude-3.5-sonnet")
    assert not PROVIDER.recognises("anthropic/claude-3.5-sonnet")
    assert not PROVIDER.recognises("gpt-4.1")
