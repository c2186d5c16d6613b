"""What administrators do, over real HTTP: kept before it is done, with who did it and how it ended, without secrets."""

import asyncio
import logging
from typing import Any

import pytest

from headgate.admin.deeds import Deeds, detail_of, subject_of
from headgate.admin.routes import OPERATIONS
from headgate.audit.deeds import Deed, DeedsWanted
from headgate.errors import Busy, NotFound
from headgate.ledger.store import LedgerUnavailable
from headgate.stores.audit_memory import MemoryAudit
from headgate.stores.memory import MemoryStore
from tests.admin.serving import KEY, NOON_NS, Api, Clock, served, some_deeds
from tests.audit.planted import SECRETS

ANY = DeedsWanted()
MINUTE_NS = 60 * 1_000_000_000


async def kept(api: Api) -> list[Deed]:
    """All deeds, oldest first."""
    await api.deeds.settled()
    return [deed for _, deed in await api.store.deeds(ANY, 1000)][::-1]


async def test_a_deed_tells_who_did_what_to_what_and_how_it_ended() -> None:
    async with served() as api:
        await api("PUT", "/accounts/acme", {"kind": "prepaid"})
        once = {"headers": {"idempotency-key": "t-1"}}
        await api("POST", "/accounts/acme/top-ups", {"amount_usd": "12.50", "note": "Élan"}, **once)
        made = await api("POST", "/keys", {"name": "k", "account": "acme"})
        await api("PUT", "/budgets/account/acme/month", {"limit_usd": "5"})
        await api("DELETE", "/budgets/account/acme/month")
        deeds = await kept(api)
    assert [(deed.actor, deed.action, deed.subject, deed.status, deed.detail) for deed in deeds] == [
        ("ada", "put_account", "account/acme", 201, {"kind": "prepaid"}),
        ("ada", "top_up", "account/acme", 201, {"amount_usd": "12.50", "note": "Élan", "idempotency_key": "t-1"}),
        ("ada", "create_key", f"key/{made.body['key_id']}", 201, {"name": "k", "account": "acme"}),
        ("ada", "put_budget", "budget/account/acme/month", 200, {"limit_usd": "5"}),
        ("ada", "remove_budget", "budget/account/acme/month", 204, {}),
    ]
    assert {deed.at_ns for deed in deeds} == {NOON_NS}
    assert made.body["key"] not in str(deeds)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/accounts/nobody/top-ups", '{"amount_usd": "1"}', 404, "not_found"),
        ("POST", "/accounts/acme/top-ups", '{"amount_usd": 12.5}', 400, "invalid_request"),
        ("POST", "/accounts/acme/top-ups", '{"amount_usd": ', 400, "invalid_request"),
        ("PUT", "/accounts/acme?x=1", '{"kind": "prepaid"}', 400, "invalid_request"),
        ("PATCH", "/keys/%20", "{}", 400, "invalid_request"),
    ],
)
async def test_what_is_refused_is_kept_as_well(method: str, path: str, body: str, status: int, code: str) -> None:
    async with served() as api:
        assert (await api.raw(method, path, data=body)).status == status
        (deed,) = await kept(api)
    assert (deed.actor, deed.status, deed.detail["error"]["code"]) == ("ada", status, code)


async def test_every_change_is_a_deed_and_looking_is_none() -> None:
    changing = {operation.name for operation in OPERATIONS if operation.changes}
    assert changing >= {"put_account", "close_account", "top_up", "correct", "create_key", "change_key", "revoke_key",
                        "put_budget", "remove_budget"}  # fmt: skip
    async with served() as api:
        for operation in OPERATIONS:
            if operation.method == "GET":
                continue
            path = operation.path.format(account="a", key_id="k", scope="tag", subject="s", window="day", hold_id="h")
            await api.raw(operation.method, path, json={})
        assert {deed.action for deed in await kept(api)} - {"sign_in"} == changing
        before = await kept(api)
        for path in ("/accounts", "/keys", "/audit", "/records", "/records/ex_1/transcript"):
            await api.raw("GET", path)
        assert await kept(api) == before, "there was nothing to be shown"


class Unwritable(MemoryAudit):
    """Takes nothing, in one way or another."""

    def __init__(self, trouble: str) -> None:
        super().__init__()
        self.trouble = trouble

    async def keep_deed(self, deed: Deed) -> None:
        match self.trouble:
            case "busy":
                raise Busy("The database does not answer.")
            case "closed":
                raise LedgerUnavailable
            case "slow":
                await asyncio.sleep(60)
        await super().keep_deed(deed)

    async def end_deed(self, deed: Deed) -> None:
        if self.trouble == "end":
            raise Busy("The database does not answer.")
        await super().end_deed(deed)


@pytest.mark.parametrize("trouble", ["busy", "closed", "slow"])
async def test_what_cannot_be_kept_is_not_done(trouble: str) -> None:
    async with served(log=Unwritable(trouble), patience_seconds=0.05) as api:
        got = await api("PUT", "/accounts/acme", {"kind": "prepaid"})
        assert (got.status, got.error["code"]) == (503, "gateway_unavailable")
        assert await api.store.accounts() == []


async def test_what_cannot_be_kept_is_not_shown() -> None:
    async with served(log=Unwritable("busy")) as api:
        assert (await api("GET", "/transcripts")).status == 503
        assert (await api("GET", "/audit/export")).status == 503


async def test_a_deed_whose_end_cannot_be_kept_is_there_without_one(caplog: pytest.LogCaptureFixture) -> None:
    log = Unwritable("end")
    async with served(log=log) as api:
        assert (await api("PUT", "/accounts/acme", {"kind": "prepaid"})).status == 201
        ((_, deed),) = await log.deeds(ANY, 10)
    assert (deed.action, deed.status) == ("put_account", None)
    assert "put_account of ada was begun and ended (201)" in caplog.text
    assert "nothing was done" not in caplog.text, "it was"


async def test_no_secret_is_in_a_deed() -> None:
    async with served() as api:
        await api("PUT", "/accounts/acme", {"kind": "prepaid"})
        for secret in (*SECRETS.values(), KEY):
            note = f"paid with {secret}, thanks"
            await api("POST", "/accounts/acme/top-ups", {"amount_usd": "1", "note": note})
            await api.raw("POST", "/accounts/acme/top-ups", data=f'{{"note": "{secret}"')
            if "/" not in secret:  # else it is a path of no operation
                await api.raw("POST", f"/keys/{secret}/revoke")
            await api.raw("PATCH", "/keys/k", json={secret: [[secret]]})
            await api.raw("DELETE", "/budgets/tag/x/day", params={"key": secret})
        deeds = str(await kept(api))
    for secret in (*SECRETS.values(), KEY):
        assert secret not in deeds
    assert deeds.count("'revoke_key'") == sum("/" not in secret for secret in (*SECRETS.values(), KEY))
    assert "paid with [redacted], thanks" in deeds


async def test_sign_ins_are_deeds() -> None:
    async with served() as api:
        await api("POST", "/session", {"key": KEY}, key=None)
        await api("POST", "/session", {"key": "a wrong key, long enough"}, key=None)
        await api.raw("GET", "/accounts", key="another wrong one")
        await api.raw("GET", "/accounts", key=None)
        deeds = await kept(api)
    assert [(deed.actor, deed.action, deed.status, deed.detail) for deed in deeds] == [
        ("ada", "sign_in", 200, {"from": "127.0.0.1"}),
        ("nobody", "sign_in", 401, {"from": "127.0.0.1"}),
        ("nobody", "sign_in", 401, {"from": "127.0.0.1"}),
    ]
    assert "wrong" not in str(deeds)


async def test_guessing_does_not_fill_the_database() -> None:
    clock, store = Clock(), MemoryStore()
    deeds = some_deeds(store, clock)
    for _ in range(1_000):
        deeds.note_refusal("192.0.2.7")
    clock.now_ns += MINUTE_NS
    deeds.note_refusal("192.0.2.8")
    deeds.note_refusal("192.0.2.9")
    await deeds.settled()
    kept = [deed.detail for _, deed in await store.deeds(ANY, 2000)][::-1]
    assert kept == [{"from": "192.0.2.7"}] * 10 + [{"from": "192.0.2.8", "passed_over": 990}, {"from": "192.0.2.9"}]


async def test_a_sign_in_that_cannot_be_kept_is_logged_and_let_in(caplog: pytest.LogCaptureFixture) -> None:
    async with served(log=Unwritable("busy")) as api:
        assert (await api("POST", "/session", {"key": KEY}, key=None)).status == 200
        await api.deeds.settled()
    assert "sign_in of ada (200) may not be kept" in caplog.text
    assert "nothing was done" not in caplog.text


async def test_how_a_block_ends_is_how_the_deed_ends() -> None:
    store = MemoryStore()
    deeds = some_deeds(store)

    async def one(error: BaseException | None) -> None:
        async with deeds.doing("cli:ann", "top_up", "account/a", {}) as doing:
            doing.subject = "account/b"
            if error is not None:
                raise error

    await one(None)
    for error in (NotFound("There is none."), RuntimeError("a fault"), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await one(error)
    ended = [(deed.status, deed.subject) for _, deed in await store.deeds(ANY, 10)][::-1]
    assert ended == [(200, "account/b"), (404, "account/b"), (500, "account/b"), (None, "account/a")]


async def test_who_leaves_while_the_end_is_kept_does_not_lose_it() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(MemoryAudit):
        async def end_deed(self, deed: Deed) -> None:
            begun.set()
            await go_on.wait()
            await super().end_deed(deed)

    log = Slow()
    deeds = some_deeds(log)

    async def one() -> None:
        async with deeds.doing("ada", "top_up", "account/a", {}):
            pass

    doing = asyncio.create_task(one())
    await begun.wait()
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    await deeds.settled(0.01)
    go_on.set()
    await deeds.settled()
    ((_, deed),) = await log.deeds(ANY, 10)
    assert deed.status == 200


def test_what_is_it_about() -> None:
    assert subject_of("/accounts/{account}/top-ups", {"account": "team-a"}) == "account/team-a"
    assert subject_of("/keys", {}) == "key"
    assert subject_of("/budgets/{a}/{b}/{c}", {"a": "tag", "b": "red", "c": "day"}) == "budget/tag/red/day"
    assert subject_of("/records/{exchange_id}/transcript", {"exchange_id": "ex_1"}) == "exchange/ex_1"
    assert subject_of("/audit/export", {}) == "audit"
    assert len(subject_of("/keys/{key_id}", {"key_id": "x" * 10_000})) < 300


@pytest.mark.parametrize(
    ("body", "key", "detail"),
    [
        (b"", None, {}),
        (b"", "k-1", {"idempotency_key": "k-1"}),
        (b'{"a": [1, null]}', "k-1", {"a": [1, None], "idempotency_key": "k-1"}),
        (b"[1]", None, {"body": [1]}),
        (b'{"a": \xff', None, {"body": '{"a": \ufffd'}),
        (b"[" * 60_000, None, {"body": "[" * 1_000}),
    ],
)
def test_what_was_asked_for(body: bytes, key: str | None, detail: dict[str, Any]) -> None:
    assert detail_of(body, key) == detail


async def test_a_detail_may_be_deep(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    deeds: Deeds = some_deeds(store)
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    with caplog.at_level(logging.ERROR):
        deeds.note("ada", "x", "y", {"deep": deep}, 200)
        await deeds.settled()
    ((_, deed),) = await store.deeds(ANY, 10)
    assert "[...]" in deed.detail_text
    assert not caplog.text
