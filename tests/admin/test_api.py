"""The admin API over real HTTP. `tests/admin/serving.py` holds each answer against the OpenAPI document."""

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from headgate.access.virtual import digest_of
from headgate.admin.api import MAX_BODY_BYTES, admin_application
from headgate.admin.office import Office
from headgate.admin.prices import MultipleView, PriceView, RateView
from headgate.ledger.commands import Command, Place
from headgate.ledger.entries import Outcome
from headgate.ledger.store import LedgerUnavailable
from headgate.stores.memory import MemoryStore
from headgate.wiring_store import StoreRecords
from tests.admin.serving import DOCUMENT, KEY, NOON_NS, SECRET, Api, Clock, a_sight, an_office, served, some_deeds
from tests.stores.audit_conformance import SAID
from tests.stores.examples import a_record

A_PRICE = PriceView(
    provider="openai",
    model="gpt-4o",
    source="book",
    version="sha256:0123",
    context_window=128_000,
    rates=[RateView(unit="input_mtok", usd="2.5", per=1_000_000, above_input_tokens=None, when={})],
    multiples=[MultipleView(when={"inference_geo": "us"}, by="1.1")],
)


async def test_every_documented_operation_does_what_it_says() -> None:
    async with served(prices=lambda model: [A_PRICE] if model == "gpt-4o" else []) as api:
        await _accounts(api)
        await _holds(api)
        await _keys_and_budgets(api)
        await _used(api)
        await _session(api)
        await _sight(api)
        await _audited(api)
        assert (await api("GET", "/openapi.json")).body == DOCUMENT | {"info": (await _info(api))}
        documented = {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}
        assert api.called == documented


async def _info(api: Api) -> Any:
    return (await api.raw("GET", "/openapi.json")).body["info"]


async def _accounts(api: Api) -> None:
    assert (await api("PUT", "/accounts/acme", {"kind": "prepaid"})).status == 201
    assert (await api("PUT", "/accounts/acme", {"kind": "prepaid"})).status == 200
    changed = await api("PUT", "/accounts/acme", {"kind": "postpaid", "limit_usd": "5"})
    assert (changed.body["limit_nanos"], changed.body["limit_usd"]) == (5_000_000_000, "5.00")
    paid = await api("POST", "/accounts/acme/top-ups", {"amount_usd": "12.50", "note": "invoice 7"})
    assert (paid.status, paid.body["repeated"]) == (201, False)
    once = {"headers": {"Idempotency-Key": "c-1"}}
    correction = {"amount_usd": "-0.000000001", "note": "rounding"}
    assert (await api("POST", "/accounts/acme/corrections", correction, **once)).status == 201
    again = await api("POST", "/accounts/acme/corrections", correction, **once)
    assert (again.status, again.body["repeated"], again.body["entry_id"]) == (200, True, "c-1")
    account = (await api("GET", "/accounts/acme")).body
    assert (account["posted_nanos"], account["posted_usd"]) == (12_499_999_999, "12.499999999")
    assert (await api("GET", "/accounts")).body == {"data": [account], "next_cursor": None}
    entries = (await api("GET", "/accounts/acme/entries")).body["data"]
    assert [(e["kind"], e["posted_usd"], e["note"]) for e in entries] == [
        ("correction", "-0.000000001", "rounding"),
        ("top_up", "12.50", "invoice 7"),
    ]
    await api("PUT", "/accounts/old", {"kind": "prepaid"})
    assert (await api("POST", "/accounts/old/close")).body["closed"] is True


async def _holds(api: Api) -> None:
    await api.store.submit(Place("ex_1", "acme", 2_000_000_000, NOON_NS, "node"))
    hold = (await api("GET", "/holds/ex_1")).body
    assert (hold["state"], hold["amount_usd"], hold["account"]) == ("open", "2.00", "acme")
    assert (await api("GET", "/holds?account=acme")).body["data"] == [hold]
    assert (await api("GET", "/holds?account=old")).body["data"] == []
    assert [e["kind"] for e in (await api("GET", "/holds/ex_1/entries")).body["data"]] == ["place"]
    verdicts = {f["account"]: f["verdict"] for f in (await api("GET", "/check")).body["data"]}
    assert verdicts == {"acme": "right", "old": "right"}


async def _keys_and_budgets(api: Api) -> None:
    made = await api("POST", "/keys", {"name": "k", "account": "acme", "tags": ["red"], "limits": {"concurrent": 2}})
    text, key_id = made.body["key"], made.body["key_id"]
    found = await api.store.by_digest(digest_of(text.encode(), SECRET))
    assert found is not None
    assert found.key_id == key_id
    shown = (await api("GET", f"/keys/{key_id}")).body
    assert shown == {name: value for name, value in made.body.items() if name != "key"}
    assert (await api("GET", "/keys")).body["data"] == [shown]
    changed = await api("PATCH", f"/keys/{key_id}", {"owner": "ops", "expires_at": "2026-12-01T00:00:00+01:00"})
    assert changed.body == shown | {"owner": "ops", "expires_at": "2026-11-30T23:00:00Z"}
    for scope, subject in (("key", key_id), ("account", "acme"), ("tag", "red"), ("tag", "blue")):
        budget = await api("PUT", f"/budgets/{scope}/{subject}/month", {"limit_usd": "50"})
        assert (budget.body["limit_nanos"], budget.body["left_usd"]) == (50_000_000_000, "50.00")
    of_key = (await api("GET", f"/keys/{key_id}/budgets")).body["data"]
    assert [(b["scope"], b["subject"]) for b in of_key] == [("account", "acme"), ("key", key_id), ("tag", "red")]
    assert (await api("DELETE", "/budgets/tag/blue/month")).status == 204
    assert (await api("DELETE", "/budgets/tag/blue/month")).status == 404
    assert len((await api("GET", "/budgets")).body["data"]) == 3
    assert [b["subject"] for b in (await api("GET", "/budgets?scope=tag")).body["data"]] == ["red"]
    revoked = await api("POST", f"/keys/{key_id}/revoke")
    assert (revoked.body["good"], revoked.body["revoked_at"] is None) == (False, False)


async def _sight(api: Api) -> None:
    assert (await api("GET", "/live")).body["exchanges"] == []
    assert (await api("GET", "/health")).body["books"]["balanced"] is True, "as the check just asked for found them"
    assert [provider["name"] for provider in (await api("GET", "/providers")).body["data"]] == ["main"]
    assert (await api("GET", "/models?limit=1")).body["next_cursor"] == "1"
    async with api.http.get(f"{api.root}/live/events", headers={"authorization": f"Bearer {KEY}"}) as events:
        assert (events.status, events.content_type) == (200, "text/event-stream")
        api.called.add(("GET", "/live/events"))


async def _session(api: Api) -> None:
    assert (await api("POST", "/session", {"key": KEY})).body["name"] == "ada"
    assert (await api("GET", "/session")).body == {"name": "ada", "expires_at": None}
    assert (await api("DELETE", "/session")).status == 204


async def _used(api: Api) -> None:
    record = a_record("ex_9", key="k", key_id="key_9")
    api.store.append(record)
    api.store.append(a_record("ex_8", provider="groq"))
    assert (await api("GET", "/records/ex_9")).body["usage"]["input_tokens"] == 100
    assert [r["exchange_id"] for r in (await api("GET", "/records")).body["data"]] == ["ex_9", "ex_8"]
    assert (await api("GET", "/records/export?key=k")).body.count("\r\n") == 2
    rows = (await api("GET", "/usage?by=provider&since=2025-01-01T00:00:00Z")).body["rows"]
    assert {row["provider"]: row["input_tokens"] for row in rows} == {"openai": 100, "groq": 100}
    (all_exchanges,) = (await api("GET", "/series")).body["groups"]
    assert len(all_exchanges["rows"]) == 24
    assert (await api("GET", "/prices?model=gpt-4o")).body["data"][0]["rates"][0]["usd"] == "2.5"
    assert (await api("GET", "/prices?model=unheard-of")).body == {"data": []}


async def _audited(api: Api) -> None:
    await api.store.keep_transcripts([SAID])
    said = (await api("GET", "/records/ex_1/transcript")).body
    assert (said["at"], said["request"]["truncated"]) == ("1970-01-01T00:00:00.000001Z", True)
    assert said["response"] == {"text": SAID.response.text, "bytes": 22, "kept_bytes": 22, "truncated": False}
    (listed,) = (await api("GET", "/transcripts?key=key_1&text=hello")).body["data"]
    assert listed == {name: said[name] for name in listed if name in said} | {"request_bytes": 30, "response_bytes": 22}
    lines = (await api("GET", "/transcripts/export?text=HELLO")).body
    assert [json.loads(line) for line in lines.splitlines()] == [said]
    deeds = (await api("GET", "/audit?actor=ada&limit=3")).body["data"]
    assert [deed["action"] for deed in deeds] == ["export_transcripts", "list_transcripts", "get_transcript"]
    lines = (await api("GET", "/audit/export?action=top_up")).body
    assert [json.loads(line)["subject"] for line in lines.splitlines()] == ["account/acme"]


REFUSALS: list[tuple[str, str, str | None, int, str | None]] = [
    ("PUT", "/accounts/acme", '{"kind": "prepaid", "colour": "red"}', 400, "colour"),
    ("PUT", "/accounts/acme", '{"limit_usd": "5"}', 400, "kind"),
    ("PUT", "/accounts/acme", '{"kind": "lent"}', 400, "kind"),
    ("PUT", "/accounts/acme", '{"kind": "prepaid", "limit_usd": "5"}', 400, "limit_usd"),
    ("PUT", "/accounts/acme", "[" * 60_000, 400, None),
    ("PUT", "/accounts/%20", '{"kind": "prepaid"}', 400, "account"),
    ("PUT", "/accounts/acme", '{"kind": ', 400, None),
    ("PUT", "/accounts/acme", "", 400, None),
    ("PUT", "/accounts/acme", "\xff", 400, None),
    ("PUT", "/accounts/acme", "[]", 400, None),
    ("POST", "/accounts/acme/top-ups", '{"amount_usd": 12.5}', 400, "amount_usd"),
    ("POST", "/accounts/acme/top-ups", '{"amount_usd": "1e3"}', 400, "amount_usd"),
    ("POST", "/accounts/acme/top-ups", '{"amount_usd": "0"}', 400, "amount_usd"),
    ("POST", "/accounts/acme/top-ups", '{"amount_usd": "9999999999"}', 400, "amount_usd"),
    ("POST", "/accounts/acme/top-ups", '{"amount_usd": "1", "note": "a\\u0000b"}', 400, "note"),
    ("POST", "/accounts/nobody/top-ups", '{"amount_usd": "1"}', 404, None),
    ("POST", "/accounts/acme/corrections", '{"amount_usd": "1", "note": ""}', 400, "note"),
    ("POST", "/keys", '{"name": "k", "account": "nobody"}', 404, "account"),
    ("POST", "/keys", '{"name": "k", "account": "acme", "limits": {"concurrent": 0}}', 400, "limits.concurrent"),
    ("POST", "/keys", '{"name": "k", "account": "acme", "expires_at": "2020-01-01T00:00:00Z"}', 409, "expires_at"),
    ("POST", "/keys", '{"name": "k", "account": "acme", "expires_at": "2020-01-01T00:00:00"}', 400, "expires_at"),
    ("POST", "/keys", '{"name": "k", "account": "acme", "models": ["a b"]}', 400, "models[0]"),
    ("PATCH", "/keys/key_x", '{"owner": "b"}', 404, None),
    ("PUT", "/budgets/key/key_x/month", '{"limit_usd": "1"}', 404, None),
    ("PUT", "/budgets/planet/earth/month", '{"limit_usd": "1"}', 400, "scope"),
    ("PUT", "/budgets/tag/red/year", '{"limit_usd": "1"}', 400, "window"),
    ("GET", "/accounts?limit=0", None, 400, "limit"),
    ("GET", "/accounts?limit=501", None, 400, "limit"),
    ("GET", "/accounts?cursor=here", None, 400, "cursor"),
    ("GET", "/accounts?colour=red", None, 400, "colour"),
    ("GET", "/accounts?limit=1&limit=2", None, 400, "limit"),
    ("GET", "/accounts/acme/entries?cursor=0.x", None, 400, "cursor"),
    ("GET", "/accounts/nobody/entries", None, 404, None),
    ("GET", "/audit?since=yesterday", None, 400, "since"),
    ("GET", "/audit?until=9999-01-01T00:00:00Z", None, 400, "until"),
    ("GET", "/audit?cursor=x", None, 400, "cursor"),
    ("GET", "/audit?colour=red", None, 400, "colour"),
    ("GET", "/audit/export?limit=5", None, 400, "limit"),
    ("GET", "/transcripts?cursor=5", None, 400, "cursor"),
    ("GET", "/records/ex_nothing/transcript", None, 404, None),
    ("GET", "/records?since=yesterday", None, 400, "since"),
    ("GET", "/records/ex_nothing", None, 404, None),
    ("GET", "/records?since=null", None, 400, "since"),
    ("GET", "/records?since=9999-01-01T00:00:00Z", None, 400, "since"),
    ("GET", "/usage?by=weather", None, 400, "by"),
    ("GET", "/prices", None, 400, "model"),
]  # fmt: skip
"""Method, path, body; status, and the part of the request that is at fault."""


async def test_what_is_refused_is_told_by_name() -> None:
    async with served() as api:
        await api.office.open_account("acme")
        for method, path, body, status, param in REFUSALS:
            data = None if body is None else body.encode("latin-1")
            got = await api(method, path, data=data, headers={"content-type": "application/json"})
            assert (got.status, got.error["param"]) == (status, param), (method, path, body, got.error)
        assert await api.store.entries() == []
        assert await api.store.keys() == []
        assert await api.store.budgets() == []


async def test_one_idempotency_key_is_one_payment() -> None:
    async with served() as api:
        await api.office.open_account("acme")
        once = {"headers": {"Idempotency-Key": "inv-7"}}
        paid = [api("POST", "/accounts/acme/top-ups", {"amount_usd": "10"}, **once) for _ in range(20)]
        assert sorted(got.status for got in await asyncio.gather(*paid)) == [200] * 19 + [201]
        other = await api("POST", "/accounts/acme/top-ups", {"amount_usd": "11"}, **once)
        assert (other.status, other.error["code"]) == (409, "conflict")
        bad = await api(
            "POST", "/accounts/acme/top-ups", {"amount_usd": "1"}, headers={"Idempotency-Key": "ex_1:place"}
        )
        assert bad.status == 400
        assert (await api.office.account("acme")).posted_nanos == 10_000_000_000


async def test_lists_are_read_page_by_page() -> None:
    async with served() as api:
        for number in range(7):
            await api.office.open_account(f"a{number}")
            await api.office.top_up("a0", 1 + number)
            api.store.append(a_record(f"ex_{number}", started_at_ns=NOON_NS + number // 2))
        for path, wanted in (
            ("/accounts", [f"a{number}" for number in range(7)]),
            ("/accounts/a0/entries", [7, 6, 5, 4, 3, 2, 1]),
            ("/records", [f"ex_{number}" for number in (6, 5, 4, 3, 2, 1, 0)]),
        ):
            seen: list[Any] = []
            cursor = ""
            while True:
                page = (await api("GET", f"{path}?limit=3{cursor}")).body
                assert 1 <= len(page["data"]) <= 3
                name = {"/accounts": "account", "/records": "exchange_id"}.get(path, "posted_nanos")
                seen += [item[name] for item in page["data"]]
                if page["next_cursor"] is None:
                    break
                cursor = f"&cursor={page['next_cursor']}"
            assert seen == wanted


async def test_nothing_is_told_without_an_admin_key() -> None:
    async with served() as api:
        for key in (None, "", "another key, as long as it", KEY + "x", KEY[:-1]):
            for path in ("/accounts", "/openapi.json", "/nowhere", ""):
                got = await api.raw("GET", path, key=key)
                assert (got.status, got.error["code"]) == (401, "invalid_api_key")
                assert got.headers["www-authenticate"] == "Bearer"


async def test_without_any_admin_key_there_is_no_api() -> None:
    async with served(keys={}) as api:
        for key in (None, "", KEY):
            assert (await api.raw("GET", "/accounts", key=key)).status == 404


async def test_what_is_not_there_is_told_as_json() -> None:
    async with served() as api:
        for path in ("/nowhere", "", "/accounts/", "/accounts/a/b"):
            got = await api.raw("GET", path)
            assert (got.status, got.error["code"]) == (404, "not_found")
        got = await api.raw("DELETE", "/accounts/acme")
        assert (got.status, got.error["code"]) == (405, "method_not_allowed")
        assert {method.strip() for method in got.headers["allow"].split(",")} == {"GET", "HEAD", "PUT"}


async def test_every_answer_forbids_keeping_it_and_none_invites_other_origins() -> None:
    async with served() as api:
        for path in ("/accounts", "/nowhere", "/accounts/x", "/openapi.json"):
            for key in (KEY, "wrong"):
                got = await api.raw("GET", path, key=key, headers={"origin": "https://elsewhere.example"})
                assert got.headers["cache-control"] == "no-store"
                assert not [name for name in got.headers if name.lower().startswith("access-control-")]


async def test_a_body_over_the_limit_is_not_read_to_its_end() -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 10_000

    async with served() as api:
        await api.office.open_account("acme")
        padded = b'{"amount_usd": "1"}'.ljust(MAX_BODY_BYTES)
        assert (await api("POST", "/accounts/acme/top-ups", data=padded)).status == 201
        assert (await api("POST", "/accounts/acme/top-ups", data=padded + b" ")).status == 413
        address = urlsplit(api.root)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            b"POST /admin/v1/accounts/acme/top-ups HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
            + KEY.encode() + b"\r\ntransfer-encoding: chunked\r\n\r\n"
        )  # fmt: skip
        async for piece in endless():
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            if reader._buffer:  # type: ignore[attr-defined]  # an answer, while we still send
                break
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_a_client_that_leaves_in_the_middle_changes_nothing() -> None:
    async with served() as api:
        await api.office.open_account("acme")
        address = urlsplit(api.root)
        with socket.create_connection((address.hostname, address.port)) as leaving:
            leaving.sendall(
                b"POST /admin/v1/accounts/acme/top-ups HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
                + KEY.encode() + b'\r\ncontent-length: 19\r\n\r\n{"amount_usd": '
            )  # fmt: skip
        assert (await api("GET", "/accounts/acme")).body["posted_nanos"] == 0


class Stopping(MemoryStore):
    """A store that is being closed."""

    async def submit(self, _: Command) -> Outcome:
        raise LedgerUnavailable


async def test_a_store_that_takes_nothing_is_told_as_503() -> None:
    def office_of(store: MemoryStore, clock: Clock) -> Office:
        return an_office(store, clock, ledger=Stopping())

    async with served(office_of=office_of) as api:
        got = await api("PUT", "/accounts/acme", {"kind": "prepaid"})
        assert (got.status, got.error["code"]) == (503, "gateway_unavailable")


class Broken(StoreRecords):
    """A record log with a fault."""

    async def summed(self, _: str, __: int | None, ___: int | None = None) -> Sequence[Mapping[str, Any]]:
        raise ZeroDivisionError("the inside of the gateway")


async def test_a_fault_of_ours_tells_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    async with served(reader_of=Broken) as api:
        got = await api.raw("GET", "/usage")
        assert (got.status, got.error["code"]) == (500, "gateway_error")
        assert "inside" not in got.error["message"]
    assert "the inside of the gateway" in caplog.text, "the operator has to find it"


def test_a_short_admin_key_stops_the_start() -> None:
    store = MemoryStore()
    sight = a_sight(store, Clock())
    with pytest.raises(ValueError, match="16"):
        admin_application(
            an_office(store), StoreRecords(store), lambda _: (), {"ada": "short"}, SECRET, sight=sight,
            deeds=some_deeds(store),
        )  # fmt: skip
