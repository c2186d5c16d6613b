import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from headgate.errors import UpstreamUnreachable
from headgate.net.client import HttpUpstream
from headgate.net.tokens import Tokens
from headgate.providers import registry
from headgate.providers.base import Deployment, Outbound, Secret
from headgate.testing.upstream import Coding, Received, Script, ScriptedUpstream, Send, head

OUTBOUND = Outbound(b"POST", b"h", b"/", (), b"", 0)


def azure(authority: str, **more: Secret) -> Deployment:
    options = {"tenant_id": "tenant", "client_id": "client", "authority": authority}
    provider = registry.by_name("azure")
    return Deployment(
        "azure",
        provider,
        "https://x/openai/v1",
        options=options,
        secrets={"client_secret": Secret("the-secret"), **more},
    )


class Service:
    """A token service that counts."""

    def __init__(self, *bodies: bytes, status: int = 200) -> None:
        self.bodies = list(bodies)
        self.status = status
        self.asked: list[Received] = []

    def __call__(self, request: Received) -> Script:
        self.asked.append(request)
        body = self.bodies[min(len(self.asked), len(self.bodies)) - 1]
        yield head(self.status, coding=Coding.LENGTH, length=len(body))
        yield Send(body)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def bearer(deployment: Deployment) -> bytes:
    return dict(deployment.credential_headers(OUTBOUND))[b"authorization"]


async def test_a_token_is_asked_for_once_and_again_before_it_ends() -> None:
    service, clock = Service(b'{"access_token":"one","expires_in":1200}', b'{"access_token":"two"}'), Clock()
    async with ScriptedUpstream(service) as upstream:
        client = HttpUpstream()
        tokens, deployment = Tokens(client, clock), azure(upstream.url)
        fresh = await asyncio.gather(*(tokens.freshen(deployment) for _ in range(20)))
        assert {bearer(d) for d in fresh} == {b"Bearer one"}
        assert len(service.asked) == 1
        clock.seconds += 899
        assert bearer(await tokens.freshen(deployment)) == b"Bearer one"
        clock.seconds += 1
        assert bearer(await tokens.freshen(deployment)) == b"Bearer two"
        await client.aclose()
    form = parse_qs(service.asked[0].body.decode())
    assert service.asked[0].target == b"/tenant/oauth2/v2.0/token"
    assert (form["client_id"], form["client_secret"]) == (["client"], ["the-secret"])


@pytest.mark.parametrize(
    ("body", "status"), [(b'{"error":"invalid_client"}', 401), (b"{}", 200), (b"x" * 70_000, 200), (b"", 500)]
)
async def test_a_service_that_fails_is_an_error_that_tells_no_secret(body: bytes, status: int) -> None:
    async with ScriptedUpstream(Service(body, status=status)) as upstream:
        client = HttpUpstream()
        with pytest.raises(UpstreamUnreachable) as raised:
            await Tokens(client, Clock()).freshen(azure(upstream.url))
        assert "the-secret" not in str(raised.value)
        await client.aclose()


async def test_a_failure_is_not_kept() -> None:
    service = Service(b"{}", b'{"access_token":"t"}')
    async with ScriptedUpstream(service) as upstream:
        client = HttpUpstream()
        tokens, deployment = Tokens(client, Clock()), azure(upstream.url)
        with pytest.raises(UpstreamUnreachable):
            await tokens.freshen(deployment)
        assert bearer(await tokens.freshen(deployment)) == b"Bearer t"
        await client.aclose()


async def test_nothing_is_asked_for_a_deployment_that_has_its_key() -> None:
    client = HttpUpstream()
    tokens = Tokens(client, Clock())
    plain = Deployment("openai", registry.by_name("openai"), "https://x", Secret("k"))
    assert await tokens.freshen(plain) is plain
    await client.aclose()


async def test_a_profile_gives_what_requests_are_signed_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = AKID\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    provider, options = registry.by_name("bedrock"), {"region": "eu-west-1", "profile": "team"}
    deployment = Deployment("bedrock", provider, provider.address(options), options=options)
    client = HttpUpstream()
    tokens = Tokens(client, Clock())
    fresh = await tokens.freshen(deployment)
    assert b"Credential=AKID/" in bearer(fresh)
    assert await tokens.freshen(deployment) is fresh
    with pytest.raises(UpstreamUnreachable):
        await tokens.freshen(replace(deployment, name="other", options={**options, "profile": "nobody"}))
    await client.aclose()
