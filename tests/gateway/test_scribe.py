"""Tapes become transcripts behind exchanges that nothing disturbs."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from headgate.audit.redaction import Redactor
from headgate.audit.rules import Rule
from headgate.audit.transcripts import Transcript, TranscriptsWanted
from headgate.errors import Busy
from headgate.gateway import scribe as module
from headgate.gateway.scribe import Keeping, Scribe
from headgate.gateway.socket import SocketClosed
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Ending
from headgate.stores.audit_memory import MemoryAudit
from tests.audit.planted import SECRETS
from tests.gateway.fake_sockets import create, created, delta, line, terminal
from tests.gateway.fakes import (
    BEARER,
    CHAT,
    DONE,
    FINISH,
    FIRST,
    JSON,
    KEY_TEXT,
    NOW_NS,
    FakeCall,
    FakeClient,
    Stage,
    ok,
    post,
    stage,
)
from tests.stores.audit_conformance import a_transcript

ALL = (Rule(routes=("/",)),)
PATH = "/v1/chat/completions"


@asynccontextmanager
async def writing(
    *calls: FakeCall, rules: Sequence[Rule] = ALL, log: MemoryAudit | None = None, on: Stage | None = None, **more: Any
) -> AsyncIterator[tuple[Stage, Scribe]]:
    """A gateway with a scribe; the scribe has written all when the block ends."""
    on = on or stage(*calls)
    pending = {"pending_bytes": more.pop("pending_bytes")} if "pending_bytes" in more else {}
    scribe = Scribe(log or on.store, Keeping(tuple(rules), **more), Redactor(), lambda: NOW_NS, **pending)
    on.gateway = replace(on.gateway, scribe=scribe)
    scribe.start()
    yield on, scribe
    await scribe.aclose()


async def transcript(log: MemoryAudit, exchange_id: str = "ex_1") -> Transcript:
    found = await log.transcript(exchange_id)
    assert found is not None
    return found


async def test_what_was_asked_and_what_was_told() -> None:
    async with writing(ok(FIRST, FINISH, DONE)) as (on, _):
        client = FakeClient()
        record = await on.play(post(PATH, CHAT), client)
    said = await transcript(on.store)
    assert said.request.text == CHAT.decode()
    assert (said.request.size, said.request.kept_bytes, said.request.truncated) == (len(CHAT), len(CHAT), False)
    assert said.response.text == client.body.decode() == (FIRST + FINISH + DONE).decode()
    assert said.response.size == record.bytes_out
    assert (said.exchange_id, said.at_ns) == (record.exchange_id, record.started_at_ns)
    assert (said.key, said.key_id, said.dialect, said.path) == (None, None, record.dialect, PATH)
    assert said.operation == record.operation


async def test_credentials_of_the_exchange_are_blotted_out_wherever_they_are_told() -> None:
    theirs, ours = KEY_TEXT.decode(), "sk-openai-credential"
    told = json.dumps({"error": {"message": f"bad key {ours}, you sent {theirs}"}}).encode()
    on = await stage(ok(told, headers=JSON)).with_key()
    async with writing(on=on) as (on, _):
        body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"is {theirs} good?"}]})
        client = FakeClient()
        await on.play(post(PATH, body.encode(), BEARER), client)
    assert theirs in client.body.decode(), "the client is sent the provider's own words"
    said = await transcript(on.store)
    assert (said.key, said.key_id) == ("alice", "key_1")
    for text in (said.request.text, said.response.text):
        assert theirs not in text
        assert ours not in text
        assert "[credential]" in text


@pytest.mark.parametrize("content", [{"status": 402}, {"status": 404}])
async def test_refusals_of_the_gateways_own_are_kept(content: dict[str, int]) -> None:
    on = await stage().with_key(credit=0 if content["status"] == 402 else 10**9)
    async with writing(on=on) as (on, _):
        body = CHAT if content["status"] == 402 else CHAT.replace(b"gpt-4o-mini", b"a-model-of-nobody")
        client = FakeClient()
        record = await on.play(post(PATH, body, BEARER), client)
    assert (record.ending, record.status) == (Ending.NEVER_SENT, content["status"])
    assert (await transcript(on.store)).response.text == client.body.decode()


async def test_who_was_not_let_in_says_nothing_that_is_kept() -> None:
    on = await stage().with_key()
    async with writing(on=on) as (on, _):
        await on.play(post(PATH, CHAT), FakeClient())
    assert (await on.store.transcripts(TranscriptsWanted(), 10)).found == ()


async def test_a_client_that_leaves_has_heard_so_much() -> None:
    client = FakeClient()
    async with writing(ok(FIRST, client.leave, FINISH, DONE)) as (on, _):
        await on.play(post(PATH, CHAT), client)
    assert (await transcript(on.store)).response.text == FIRST.decode()


@pytest.mark.parametrize("rules", [(), (Rule(keys=frozenset({"bob"})),), (Rule(tags=frozenset({"red"})),)])
async def test_off_is_off(rules: Sequence[Rule]) -> None:
    on = await stage(ok(FIRST, FINISH, DONE)).with_key()
    async with writing(on=on, rules=rules) as (on, _):
        await on.play(post(PATH, CHAT, BEARER), FakeClient())
    assert (await on.store.transcripts(TranscriptsWanted(), 10)).found == ()


async def test_a_tag_that_is_set_counts_from_the_next_exchange_on() -> None:
    calls = [ok(FIRST, FINISH, DONE) for _ in range(3)]
    on = await stage(*calls).with_key()
    async with writing(on=on, rules=(Rule(tags=frozenset({"audited"})),)) as (on, _):
        for tags in ((), ("audited", "x"), ("x",)):
            key = await on.store.key("key_1")
            assert key is not None
            await on.store.put_key(replace(key, tags=tags))
            await on.play(post(PATH, CHAT, BEARER), FakeClient())
    found = (await on.store.transcripts(TranscriptsWanted(), 10)).found
    assert [said.exchange_id for said in found] == ["ex_2"]


async def test_the_head_is_kept_and_the_true_size_told() -> None:
    async with writing(ok(FIRST, FINISH, DONE), max_bytes=20) as (on, _):
        await on.play(post(PATH, CHAT), FakeClient())
    said = await transcript(on.store)
    assert (said.request.text, said.request.size, said.request.truncated) == (CHAT[:20].decode(), len(CHAT), True)
    whole = FIRST + FINISH + DONE
    assert (said.response.text, said.response.size, said.response.truncated) == (whole[:20].decode(), len(whole), True)
    assert said.response.kept_bytes == 20


async def test_a_turn_on_a_socket_is_kept_by_itself() -> None:
    on = await stage().with_key()
    async with writing(on=on) as (on, _), line(on) as socket:
        socket.client.plays(create())
        await socket.upstream.has_sent(1)
        told = [created("resp_1"), delta(f"a key: {SECRETS['openai'][:10]}"), delta(SECRETS["openai"][10:]),
                terminal("resp_1")]  # fmt: skip
        socket.upstream.plays(*told)
        await socket.records(1)
        socket.client.plays(SocketClosed(1000, "done"))
        (record,) = await socket.over()
    said = await transcript(on.store, record.exchange_id)
    assert said.request.text == create().decode()
    lines = said.response.text.split("\n")
    assert [json.loads(text)["type"] for text in lines] == [json.loads(text)["type"] for text in told]
    assert json.loads(lines[1])["delta"] == "a key: [redacted]"
    assert json.loads(lines[2])["delta"] == ""
    assert said.response.size == sum(map(len, told)) == record.bytes_out
    assert (said.key_id, said.dialect) == ("key_1", record.dialect)


class Troubled(MemoryAudit):
    """Takes nothing while there is trouble."""

    def __init__(self, trouble: Exception | None) -> None:
        super().__init__()
        self.trouble = trouble
        self.asked = asyncio.Event()
        self.blocked: asyncio.Event | None = None

    async def keep_transcripts(self, transcripts: Sequence[Transcript]) -> None:
        self.asked.set()
        if self.blocked is not None:
            await self.blocked.wait()
        if self.trouble is not None:
            raise self.trouble
        await super().keep_transcripts(transcripts)


async def test_a_database_that_comes_back_gets_all_that_waited(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.001)
    log = Troubled(Busy("The database does not answer."))
    async with writing(*(ok(FIRST, FINISH, DONE) for _ in range(3)), log=log) as (on, _):
        for _ in range(3):
            await on.play(post(PATH, CHAT), FakeClient())
            await log.asked.wait()
        log.trouble = None
    assert len((await log.transcripts(TranscriptsWanted(), 10)).found) == 3
    assert caplog.text.count("transcripts cannot be written, and wait") == 1


@pytest.mark.parametrize("trouble", [ValueError("it cannot be kept"), LedgerUnavailable()])
async def test_what_can_never_be_written_is_given_up(trouble: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async with writing(ok(FIRST, FINISH, DONE), log=Troubled(trouble)) as (on, _):
        await on.play(post(PATH, CHAT), FakeClient())
    assert "1 transcripts are lost" in caplog.text


async def test_what_waits_is_bounded_and_exchanges_go_on(caplog: pytest.LogCaptureFixture) -> None:
    calls = [ok(FIRST, FINISH, DONE) for _ in range(10)]
    size = len(CHAT) + len(FIRST + FINISH + DONE)
    log = Troubled(None)
    async with writing(*calls, log=log, pending_bytes=3 * size) as (on, scribe):
        blocked = asyncio.Event()

        log.blocked = blocked
        for _ in range(10):
            record = await on.play(post(PATH, CHAT), FakeClient())
            assert record.ending is Ending.COMPLETE
        assert scribe._bytes == 3 * size
        blocked.set()
    assert caplog.text.count("they cannot be written as fast as they come") == 1
    assert "7 transcripts have been lost" in caplog.text


async def test_old_ones_are_pruned_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLICE", 2)
    day = 86_400 * 10**9
    log = MemoryAudit()
    ages = [NOW_NS - age * day for age in (40, 35, 31, 30.5, 30, 29, 1)]
    await log.keep_transcripts([a_transcript(int(at)) for at in ages])
    async with writing(log=log):
        while len(found := (await log.transcripts(TranscriptsWanted(), 10)).found) > 3:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        found = (await log.transcripts(TranscriptsWanted(), 10)).found
    assert [said.at_ns for said in found] == [int(at) for at in ages[:3:-1]]


async def test_a_fault_of_ours_is_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise RuntimeError("a fault")

    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.01)
    with caplog.at_level(logging.ERROR):
        async with writing(ok(FIRST, FINISH, DONE)) as (on, scribe):
            monkeypatch.setattr(module, "legible", fails)
            await on.play(post(PATH, CHAT), FakeClient())
            assert scribe._task is not None
            await asyncio.wait([scribe._task])
            await asyncio.sleep(0)
    assert "transcripts are kept no longer" in caplog.text


async def test_one_that_is_retired_writes_what_it_was_given_and_removes_nothing() -> None:
    on = stage(ok(FIRST, FINISH, DONE))
    await on.store.keep_transcripts([a_transcript(0)])
    async with writing(on=on) as (_, scribe):
        scribe.retire()
        await on.play(post(PATH, CHAT), FakeClient())
    assert (await transcript(on.store)).request.text == CHAT.decode()
    assert await on.store.transcript("ex_000000") is not None
