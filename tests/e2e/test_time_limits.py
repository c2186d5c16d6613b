"""Providers that take too long, on real sockets: what the client is told, what is recorded, and what is settled."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from headgate.access.virtual import VirtualKey, digest_of, hint_of, key_text
from headgate.config import load
from headgate.errors import HeadgateError, UpstreamTimeout, UpstreamUnreachable
from headgate.ledger.commands import OpenAccount
from headgate.ledger.entries import AccountKind
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret, TimeLimits
from headgate.records import Ending, Record, Settled
from headgate.testing.upstream import LAST_CHUNK, Hang, Pause, ScriptedUpstream, Step, chunk, head
from tests.e2e.raw import RawClient, post
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL, Running, WatchedLog, serving
from tests.e2e.streams import STREAMS, Stream
from tests.net.wire import black_hole

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = key_text(bytes(range(24)))
CREDIT = 10**9

LIMITS = {
    "connect": TimeLimits(connect=0.1),
    "first_byte": TimeLimits(first_byte=0.2),
    "idle": TimeLimits(idle=0.2),
    "total": TimeLimits(idle=5.0, total=0.5),
}
TOLD: dict[str, HeadgateError] = {
    "connect": UpstreamUnreachable("Connecting to the provider took too long."),
    "first_byte": UpstreamTimeout("The provider did not begin to answer in time."),
    "idle": UpstreamTimeout("The provider fell silent in the middle of its answer."),
    "total": UpstreamTimeout("The provider did not finish its answer in time."),
}


@dataclass
class Stage:
    """For each limit a gateway whose providers all have it, and an account that pays."""

    upstream: ScriptedUpstream
    gateways: dict[str, Running]

    async def asked(self, limit: str, path: str, body: bytes, provider: str) -> tuple[RawClient, Record]:
        gateway = self.gateways[limit]
        headers = [("x-provider", provider), ("authorization", f"Bearer {TEXT}")]
        answer = await post(gateway.port, path, body, headers)
        return answer, await gateway.log.of(answer.headers["x-headgate-exchange-id"])


async def _paid() -> WatchedLog:
    log = WatchedLog()
    await log.submit(OpenAccount("team", AccountKind.POSTPAID, 0, CREDIT))
    digest = digest_of(TEXT.encode(), ACCESS_SECRET.encode())
    await log.put_key(VirtualKey("key_1", "alice", "team", digest, hint_of(TEXT), 0))
    return log


def deployments(url: str, limits: TimeLimits | None) -> tuple[Deployment, ...]:
    return tuple(
        Deployment(provider.name, provider, provider.root(url), Secret(CREDENTIAL), limits=limits)
        for provider in registry.all_providers()
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream(lambda _: []))
        hole = await stack.enter_async_context(black_hole())
        gateways = {}
        for name, limits in LIMITS.items():
            url = f"http://127.0.0.1:{hole.port}" if name == "connect" else upstream.url
            served = serving(deployments(url, limits), log=await _paid())
            gateways[name] = await stack.enter_async_context(served)
        yield Stage(upstream, gateways)


def endless(stream: Stream) -> Iterator[Step]:
    """The stream's beginning, and then its second frame again and again, never silent for long."""
    yield from stream.begin(2)
    for _ in itertools.count():
        yield Pause(0.05)
        yield chunk(stream.frames[1])


each_dialect = pytest.mark.parametrize("dialect", STREAMS)


@pytest.mark.parametrize("limit", ["idle", "total"])
@each_dialect
async def test_a_stream_that_takes_too_long_is_told_in_its_dialect(stage: Stage, dialect: str, limit: str) -> None:
    stream = STREAMS[dialect]
    stage.upstream.handler = lambda _: [*stream.begin(2), Hang()] if limit == "idle" else endless(stream)
    answer, record = await stage.asked(limit, stream.path, stream.request, stream.provider)
    told = stream.dialect.error_frame(TOLD[limit], record.exchange_id)
    assert answer.complete
    assert answer.body.startswith(b"".join(stream.frames[:2]))
    assert answer.body.endswith(told)
    assert record.ending is Ending.UPSTREAM_CUT
    assert (record.status, record.error) == (200, f"upstream_timeout: {TOLD[limit].message}")
    await stage.upstream.until(lambda: stage.upstream.playing == 0)


@pytest.mark.parametrize("limit", ["connect", "first_byte"])
@each_dialect
async def test_without_a_head_the_answer_is_an_error_of_the_dialect(stage: Stage, dialect: str, limit: str) -> None:
    stream = STREAMS[dialect]
    stage.upstream.handler = lambda _: [Hang()]
    answer, record = await stage.asked(limit, stream.path, stream.request, stream.provider)
    error = TOLD[limit]
    assert answer.complete
    assert answer.status == record.status == error.status
    assert answer.body == stream.dialect.error_body(error, record.exchange_id)
    assert record.ending is (Ending.NEVER_SENT if limit == "connect" else Ending.UPSTREAM_CUT)
    assert [attempt.status for attempt in record.attempts] == [None]


@pytest.mark.parametrize("limit", ["idle", "total"])
async def test_of_a_document_that_takes_too_long_nothing_is_given(stage: Stage, limit: str) -> None:
    def slowly() -> Iterable[Step]:
        yield head()
        yield chunk(b'{"id": "x", "choices": [')
        for _ in itertools.count():
            yield Hang() if limit == "idle" else Pause(0.05)
            yield chunk(b"  ")

    stage.upstream.handler = lambda _: slowly()
    body = json.dumps({"model": "gpt-4o-mini", "messages": []}).encode()
    answer, record = await stage.asked(limit, "/v1/chat/completions", body, "openai")
    assert (answer.complete, answer.status) == (True, 504)
    assert json.loads(answer.body)["error"]["message"] == TOLD[limit].message
    assert (record.ending, record.bill.charge_nanos) == (Ending.UPSTREAM_CUT, 0)


@pytest.mark.parametrize(
    ("limit", "pays"), [("connect", False), ("first_byte", False), ("idle", True), ("total", True)]
)
async def test_who_pays_for_what_took_too_long(stage: Stage, limit: str, *, pays: bool) -> None:
    """Nobody for nothing; what was delivered is charged, and nothing stays set aside."""
    stream, log = STREAMS["openai.chat"], stage.gateways[limit].log
    request = json.dumps({"model": "gpt-4o-mini", "stream": True, "max_tokens": 100, "messages": []}).encode()
    said = chunk(b'data: {"choices": [{"index": 0, "delta": {"content": "some words and more"}}]}\n\n')

    def talking() -> Iterable[Step]:
        yield from [] if limit == "first_byte" else [*stream.begin(0), said]
        for _ in itertools.count():
            yield Pause(0.05) if limit == "total" else Hang()
            yield said

    before = await _posted(log)
    stage.upstream.handler = lambda _: talking()
    _, record = await stage.asked(limit, "/v1/chat/completions", request, "openai")
    assert record.bill.settled in ({Settled.CAPTURED} if pays else {Settled.VOIDED})
    assert record.bill.charge_nanos is not None
    assert (record.bill.charge_nanos > 0) is pays
    assert before - await _posted(log) == record.bill.charge_nanos


async def _posted(log: WatchedLog) -> int:
    account = await log.account("team")
    assert account is not None
    assert account.held_nanos == 0
    return account.posted_nanos


@asynccontextmanager
async def _from_file(folder: Path, text: str) -> AsyncIterator[Running]:
    path = folder / "headgate.toml"
    path.write_text(text)
    settings = load(path, {})
    async with serving(settings.deployments, limits=settings.limits) as running:
        yield running


async def test_a_provider_has_limits_of_its_own(tmp_path: Path) -> None:
    """One is silent for longer than the other may be."""

    def slowly() -> Iterable[Step]:
        yield Pause(0.3)
        yield head(content_type="text/event-stream")
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK

    async with ScriptedUpstream(lambda _: slowly()) as upstream:
        text = f"""
        [limits]
        first_byte_seconds = 0.1
        total_seconds = 2
        [providers.hasty]
        kind = "openai_compatible"
        base_url = "{upstream.url}"
        [providers.patient]
        kind = "openai_compatible"
        base_url = "{upstream.url}"
        limits = {{ first_byte_seconds = 5 }}
        """
        body = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
        async with _from_file(tmp_path, text) as gateway:
            answers = await asyncio.gather(
                *(
                    post(gateway.port, "/v1/chat/completions", body, [("x-provider", name)])
                    for name in ("hasty", "patient")
                )
            )
    assert [answer.status for answer in answers] == [504, 200]
