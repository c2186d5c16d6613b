"""What happens on a socket, row by row of facts/stream_cases.md section 4, between two ends that a test plays."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from headgate.access.limits import Limits
from headgate.gateway.socket import BinaryFrame, SocketClosed
from headgate.ledger.commands import Command, Place
from headgate.ledger.entries import AccountKind, Outcome
from headgate.providers.base import OnClientGone, TimeLimits
from headgate.records import Ending, Settled
from headgate.stores.memory import MemoryStore
from headgate.usage import Basis
from tests.gateway.fake_sockets import Line, create, created, delta, event, line, terminal
from tests.gateway.fakes import CREDIT, IN, KEY_TEXT, NOW_NS, OUT, Stage, deployment, stage, virtual_key

CHARGE = 10 * IN + 3 * OUT
BYE = SocketClosed(1000, "done")
BROKEN = SocketClosed(1006)


async def keyed(policy: OnClientGone = OnClientGone.CUT) -> Stage:
    return await stage(deployments=[deployment("openai", policy=policy)]).with_key()


async def asked(on: Line, count: int = 1) -> None:
    """A frame that asks has gone on."""
    on.client.plays(create())
    await on.upstream.has_sent(count)


async def test_each_response_is_a_leg_of_its_own_4_1() -> None:
    async with line(await keyed()) as on:
        for n in (1, 2, 3):
            await asked(on, n)
            on.upstream.plays(created(f"resp_{n}"), delta("word"), terminal(f"resp_{n}"))
            await on.records(n)  # settled at its terminal, not when the socket closes
        on.client.plays(BYE)
        records = await on.over()
    assert [r.reading.response_id for r in records] == ["resp_1", "resp_2", "resp_3"]
    assert [(r.ending, r.bill.charge_nanos, r.bill.settled) for r in records] == [
        (Ending.COMPLETE, CHARGE, Settled.CAPTURED)
    ] * 3
    assert on.client.sent == [
        f for n in (1, 2, 3) for f in (created(f"resp_{n}"), delta("word"), terminal(f"resp_{n}"))
    ]


async def test_a_terminal_that_comes_again_changes_nothing_4_2() -> None:
    async with line(await keyed()) as on:
        await asked(on)
        on.upstream.plays(created("resp_1"), terminal("resp_1"), terminal("resp_1", tokens=(99, 99)))
        await asked(on, 2)
        on.upstream.plays(terminal("resp_1"), created("resp_2"), terminal("resp_2"), terminal("resp_1"))
        await on.client.has_sent(6)
        on.client.plays(BYE)
        records = await on.over()
    assert [r.bill.charge_nanos for r in records] == [CHARGE, CHARGE]
    assert [r.reading.response_id for r in records] == ["resp_1", "resp_2"]


async def test_a_prewarm_is_metered_as_reported_4_3() -> None:
    async with line(await keyed()) as on:
        for n, frame in enumerate((create(generate=False), create(generate=False), create(generate=True)), 1):
            on.client.plays(frame)
            await on.upstream.has_sent(n)
            on.upstream.plays(created(f"warm_{n}"), terminal(f"warm_{n}", tokens=(18, 0)))
            await on.records(n)
        on.client.plays(BYE)
        records = await on.over()
    assert on.upstream.sent == [create(generate=False)] * 2 + [create(generate=True)]
    assert [r.bill.charge_nanos for r in records] == [18 * IN] * 3
    first, second, generated = [r.bill.hold_nanos or 0 for r in records]
    assert first == second == generated - 50 * OUT + IN  # "false" is a byte longer than "true"


async def test_interleaved_lanes_4_6() -> None:
    async with line(await keyed()) as on:
        on.client.plays(create(stream_id="a"), create(stream_id="b"))
        await on.upstream.has_sent(2)
        on.upstream.plays(
            created("resp_b", stream_id="b"), created("resp_a", stream_id="a"), delta("x", stream_id="b"),
            delta("y", stream_id="a"), terminal("resp_a", tokens=(1, 1), stream_id="a"),
            terminal("resp_b", tokens=(2, 2), stream_id="b"),
        )  # fmt: skip
        await on.client.has_sent(6)
        on.client.plays(BYE)
        records = await on.over()
    assert {r.reading.response_id: r.bill.charge_nanos for r in records} == {
        "resp_a": IN + OUT, "resp_b": 2 * (IN + OUT),
    }  # fmt: skip


ERROR = event("error", status=500, error={"type": "server_error", "code": "server_error", "message": "broke"})


@pytest.mark.parametrize(
    ("before", "ending", "charged"),
    [
        ((), Ending.REFUSED, False),
        ((created("resp_1"), delta("words " * 20)), Ending.UPSTREAM_CUT, True),
    ],
    ids=["instead of an answer", "in the middle of one"],
)
async def test_an_error_frame_and_then_a_close_settle_what_is_open_4_7(
    before: tuple[bytes, ...], ending: Ending, charged: bool
) -> None:
    async with line(await keyed()) as on:
        await asked(on)
        on.upstream.plays(*before, ERROR, SocketClosed(1011, "sorry"))
        (record,) = await on.over()
    assert record.ending is ending
    assert (record.bill.settled is Settled.CAPTURED) == charged
    assert on.client.sent == [*before, ERROR]
    assert on.client.closed == (1011, "sorry")


async def test_a_failed_response_is_the_providers_fault() -> None:
    async with line(await keyed()) as on:
        await asked(on)
        failed = terminal("resp_1", "failed", response={"error": {"code": "server_error", "message": "broke"}})
        on.upstream.plays(created("resp_1"), failed)
        await on.records(1)
        on.client.plays(BYE)
        (record,) = await on.over()
    assert record.ending is Ending.UPSTREAM_ERROR


ENDS: dict[str, tuple[str, SocketClosed | BinaryFrame | None, Ending]] = {
    "the client closes": ("client", BYE, Ending.CLIENT_LEFT),
    "the client breaks": ("client", BROKEN, Ending.CLIENT_LEFT),
    "the client sends a binary frame": ("client", BinaryFrame(), Ending.CLIENT_LEFT),
    "the provider closes": ("upstream", BYE, Ending.UPSTREAM_CUT),
    "the provider breaks": ("upstream", BROKEN, Ending.UPSTREAM_CUT),
    "the provider sends a binary frame": ("upstream", BinaryFrame(), Ending.UPSTREAM_CUT),
    "the gateway stops": ("cut", None, Ending.GATEWAY_FAILED),
    "the server gives up on it": ("cancel", None, Ending.GATEWAY_FAILED),
}
HOW_FAR = {
    "sent": ((), False),
    "begun": ((created("resp_1"),), False),
    "delivered": ((created("resp_1"), delta("words " * 20)), True),
}


@pytest.mark.parametrize("how_far", HOW_FAR)
@pytest.mark.parametrize("end", ENDS)
async def test_every_exit_settles_what_is_open_once_4_10(end: str, how_far: str) -> None:
    (who, what, ending), (frames, delivered) = ENDS[end], HOW_FAR[how_far]
    async with line(await keyed()) as on:
        await asked(on)
        on.upstream.plays(*frames)
        await on.client.has_sent(len(frames))
        if what is not None:
            (on.client if who == "client" else on.upstream).plays(what)
        elif who == "cut":
            on.sessions.cut()
        else:
            on.serving.cancel()
            await asyncio.wait({on.serving})
            on.serving = asyncio.ensure_future(asyncio.sleep(0))
        (record,) = await on.over()
    assert record.ending is ending
    assert record.reading.basis is Basis.ESTIMATED
    charged = delivered or ending is Ending.CLIENT_LEFT  # the settlement table
    assert (record.bill.settled is Settled.CAPTURED) == charged
    assert on.client.closed is not None
    assert on.upstream.closed is not None


@pytest.mark.parametrize("end", ENDS)
async def test_each_end_is_told_what_the_other_said(end: str) -> None:
    who, what, _ = ENDS[end]
    async with line(await keyed()) as on:
        if what is not None:
            (on.client if who == "client" else on.upstream).plays(what)
        elif who == "cut":
            on.sessions.cut()
        else:
            on.serving.cancel()
            await asyncio.wait({on.serving})
            on.serving = asyncio.ensure_future(asyncio.sleep(0))
        assert await on.over() == []
    told = (on.upstream if who == "client" else on.client).closed
    assert told is not None
    if isinstance(what, SocketClosed):
        assert told == (what.code, what.reason)
    else:
        assert told[0] == {"client": 1001, "upstream": 1011}.get(who, 1012)
    if end == "the client sends a binary frame":
        assert on.client.closed is not None
        assert on.client.closed[0] == 1003


async def test_a_client_whose_frames_fail_has_left_though_it_did_not_close() -> None:
    async with line(await keyed()) as on:
        await asked(on)
        on.upstream.plays(created("resp_1"))
        await on.client.has_sent(1)
        on.client.gone = BROKEN
        on.upstream.plays(delta("words"))
        (record,) = await on.over()
    assert record.ending is Ending.CLIENT_LEFT
    assert record.bill.settled is Settled.CAPTURED


async def test_what_a_provider_said_before_it_closed_is_heard_though_it_takes_nothing_more() -> None:
    async with line(await keyed()) as on:
        on.upstream.gone = SocketClosed(1008, "enough")
        on.client.plays(create())
        await asyncio.sleep(0.01)
        on.upstream.plays(ERROR, on.upstream.gone)
        (record,) = await on.over()
    assert record.ending is Ending.REFUSED
    assert on.client.sent == [ERROR]
    assert on.client.closed == (1008, "enough")


async def test_draining_hears_the_response_out_and_no_longer() -> None:
    async with line(await keyed(OnClientGone.DRAIN), drain_seconds=60) as on:
        await asked(on)
        on.upstream.plays(created("resp_1"), delta("words"))
        await on.client.has_sent(2)
        on.client.plays(BROKEN)
        await asyncio.sleep(0.01)
        on.upstream.plays(delta("more"), terminal("resp_1"))
        (record,) = await on.over()
    assert (record.reading.basis, record.bill.charge_nanos) == (Basis.REPORTED, CHARGE)
    assert len(on.client.sent) == 2


@pytest.mark.parametrize("how", ["its time is over", "the gateway stops"])
async def test_draining_ends(how: str) -> None:
    seconds = 0.05 if how == "its time is over" else 60
    async with line(await keyed(OnClientGone.DRAIN), drain_seconds=seconds) as on:
        await asked(on)
        on.client.plays(BROKEN)
        await asyncio.sleep(0.01)
        if how == "the gateway stops":
            on.sessions.cut()
        (record,) = await on.over()
    assert record.ending is Ending.CLIENT_LEFT


async def test_steering_makes_one_create_several_responses() -> None:
    async with line(await keyed()) as on:
        await asked(on)
        steered = terminal("resp_1", "incomplete", response={"incomplete_details": {"reason": "steered"}})
        on.upstream.plays(created("resp_1"), steered, created("resp_2"), terminal("resp_2", tokens=(20, 5)))
        await on.records(2)
        on.client.plays(BYE)
        records = await on.over()
    assert [r.bill.charge_nanos for r in records] == [CHARGE, 20 * IN + 5 * OUT]


async def test_a_response_that_nobody_can_pay_for_ends_the_line() -> None:
    async with line(await keyed()) as on:
        await asked(on)
        on.upstream.plays(terminal("resp_0"))
        await on.records(1)
        on.client.plays(BYE)
        (record,) = await on.over()
    async with line(await stage().with_key(credit=record.bill.hold_nanos or 0)) as on:
        await asked(on)
        on.upstream.plays(created("resp_1"), terminal("resp_1", tokens=(60, 50)), created("resp_2"))
        records = await on.over()
    assert {r.ending for r in records} == {Ending.COMPLETE, Ending.UPSTREAM_CUT}
    assert len(records) == 2
    assert json.loads(on.client.sent[-1])["status"] == 402
    assert on.client.closed is not None
    assert on.client.closed[0] == 1008


class Full(MemoryStore):
    accepting = False


UNASKED: dict[str, tuple[dict[str, Any] | None, int, int]] = {
    "revoked": ({"revoked_at_ns": NOW_NS - 1}, 401, 1008),
    "expired": ({"expires_at_ns": NOW_NS - 1}, 401, 1008),
    "another provider's now": ({"providers": ("anthropic",)}, 403, 1008),
    "records cannot be written": (None, 503, 1013),
}


@pytest.mark.parametrize("why", UNASKED)
async def test_what_a_provider_begins_by_itself_is_nobody_s_who_may_not_and_ends_the_line(why: str) -> None:
    change, status, code = UNASKED[why]
    async with line(await keyed()) as on:
        if change is None:
            on.scene.store.__class__ = Full
        else:
            await on.scene.store.put_key(virtual_key(**change))
        on.upstream.plays(created("resp_1"), delta("words"))
        (record,) = await on.over()
    (told,) = on.client.sent
    assert json.loads(told)["status"] == record.status == status
    assert (record.ending, record.provider, record.key_id) == (Ending.UPSTREAM_CUT, "openai", "key_1")
    assert on.client.closed is not None
    assert on.client.closed[0] == code


async def test_what_a_refused_turn_has_used_is_on_record_and_charged_to_nobody() -> None:
    async with line(await keyed()) as on:
        await on.scene.store.put_key(virtual_key(revoked_at_ns=NOW_NS - 1))
        on.upstream.plays(terminal("resp_1"))
        (record,) = await on.over()
        account = await on.scene.account()
    assert (record.ending, record.reading.basis, record.bill.cost_nanos) == (Ending.COMPLETE, Basis.REPORTED, CHARGE)
    assert (record.bill.account, record.bill.charge_nanos, account.posted_nanos) == (None, None, CREDIT)


class Slow(MemoryStore):
    """Takes its time over holds."""

    def __init__(self) -> None:
        super().__init__()
        self.placing = asyncio.Event()

    async def submit(self, command: Command) -> Outcome:
        if isinstance(command, Place):
            self.placing.set()
            await asyncio.sleep(0.01)
        return await super().submit(command)


@pytest.mark.parametrize("who", ["client", "provider"])
@pytest.mark.parametrize("end", ["upstream", "cut", "cancel"])
async def test_a_line_that_ends_while_money_is_set_aside(end: str, who: str) -> None:
    store = Slow()
    async with line(await stage(store=store).with_key()) as on:
        if who == "client":
            on.client.plays(create())
        else:
            await asked(on)
            on.upstream.plays(terminal("resp_0"))
            await on.records(1)
            store.placing.clear()
            on.upstream.plays(terminal("resp_1"))
        await store.placing.wait()
        if end == "upstream" and who == "client":
            on.upstream.plays(BROKEN)
        elif end == "upstream":
            on.client.plays(BROKEN)
        elif end == "cut":
            on.sessions.cut()
        else:
            on.serving.cancel()
            await asyncio.wait({on.serving})
            on.serving = asyncio.ensure_future(asyncio.sleep(0))
        record = (await on.over())[-1]
    assert record.bill.account == "team"
    if who == "client":
        assert (record.ending, record.bill.settled, record.bill.cost_nanos) == (Ending.NEVER_SENT, Settled.VOIDED, 0)
        assert (record.status, record.attempts) == (502 if end == "upstream" else 503, ())
        assert on.upstream.sent == []
    else:
        assert (record.ending, record.bill.charge_nanos) == (Ending.COMPLETE, CHARGE)


@pytest.mark.parametrize(
    "who", ["the provider has gone", "the client leaves", "the gateway stops", "a bridge holds it back"]
)
async def test_a_frame_that_never_went_out_costs_nothing(who: str) -> None:
    async with line(await keyed()) as on:
        if who == "the provider has gone":
            on.upstream.gone = BROKEN
            on.client.plays(create())
            await asyncio.sleep(0.01)
            on.upstream.plays(BROKEN)
        elif who == "a bridge holds it back":
            on.upstream.holds = True
            await asked(on)
            on.client.plays(BYE)
        else:
            on.upstream.slow = True
            on.client.plays(create())
            await asyncio.sleep(0.01)
            if who == "the client leaves":
                on.client.gone = BROKEN
                on.upstream.plays(b"{}")
            else:
                on.sessions.cut()
        (record,) = await on.over()
    assert (record.ending, record.bill.settled, record.bill.cost_nanos) == (Ending.NEVER_SENT, Settled.VOIDED, 0)
    assert record.status == {"the provider has gone": 502, "the gateway stops": 503}.get(who, 499)


async def test_only_frames_that_ask_open_an_exchange() -> None:
    async with line(await keyed()) as on:
        on.client.plays(*[b'{"type":"input_audio_buffer.append"}'] * 3)
        await on.upstream.has_sent(3)
        await asked(on, 4)
        on.upstream.plays(terminal("resp_1"))
        await on.records(1)
        on.client.plays(BYE)
        (record,) = await on.over()
    assert record.exchange_id == "ex_2"  # the upgrade is ex_1


async def test_frames_that_ask_for_nothing_pass_and_cost_nothing() -> None:
    odd = b'{ "type" : "response.processed" , "x" : "\\u00e9" }'
    async with line(await keyed()) as on:
        on.client.plays(odd)
        on.upstream.plays(b'{"type":"codex.rate_limits"}', b"no json")
        assert await on.upstream.has_sent(1) == [odd]
        assert await on.client.has_sent(2) == [b'{"type":"codex.rate_limits"}', b"no json"]
        on.client.plays(BYE)
        assert await on.over() == []


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "expired": ({"expires_at_ns": NOW_NS - 1}, 401),
    "another provider's now": ({"providers": ("anthropic",)}, 403),
    "another model's now": ({"models": ("gpt-5",)}, 403),
    "limited": ({"limits": Limits(requests_per_minute=1)}, 429),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_a_key_that_changes_under_a_socket_is_told_and_the_socket_stays(why: str) -> None:
    change, status = REFUSED[why]
    async with line(await keyed()) as on:
        await on.scene.store.put_key(virtual_key(**change))
        if why == "limited":
            await asked(on)
            on.upstream.plays(terminal("resp_0"))
            await on.client.has_sent(1)
        on.client.plays(create(stream_id="a"))
        told = json.loads((await on.client.has_sent(2 if why == "limited" else 1))[-1])
        await on.scene.store.put_key(virtual_key())
        before = len(on.upstream.sent)
        await asked(on, before + 1)
        on.upstream.plays(terminal("resp_1"))
        await on.records(before + 2)
        on.client.plays(BYE)
        records = await on.over()
    assert (told["type"], told["status"], told["stream_id"]) == ("error", status, "a")
    assert [r.ending for r in records][-2:] == [Ending.NEVER_SENT, Ending.COMPLETE]
    assert records[-2].status == status


async def test_a_revoked_key_asks_for_nothing_more_and_what_runs_is_finished() -> None:
    async with line(await keyed()) as on:
        await asked(on)
        await on.scene.store.put_key(virtual_key(revoked_at_ns=NOW_NS - 1))
        on.client.plays(create())
        told = json.loads((await on.client.has_sent(1))[0])
        on.upstream.plays(created("resp_1"), terminal("resp_1"))
        await on.records(2)
        on.client.plays(BYE)
        refused, finished = await on.over()
    assert (told["type"], told["status"]) == ("error", 401)
    assert (refused.ending, refused.status, refused.key_id) == (Ending.NEVER_SENT, 401, "key_1")
    assert (finished.ending, finished.bill.charge_nanos) == (Ending.COMPLETE, CHARGE)
    assert on.upstream.sent == [create()]


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        (create(model="nobody-knows"), 403, "not_priced"),
        (create(model="gpt-5", max_output_tokens=10**9), 402, "insufficient_credit"),
        (b"no json", 400, "invalid_request"),
        (b'{"type":"response.create","type":"x"}', 400, "invalid_request"),
        (b'{"type":"response.create","model":"gpt-4o-mini","model":"gpt-5"}', 400, "invalid_request"),
    ],
)
async def test_what_does_not_pass_is_told_in_an_error_frame(frame: bytes, status: int, code: str) -> None:
    async with line(await keyed()) as on:
        on.client.plays(frame)
        told = json.loads((await on.client.has_sent(1))[0])
        await asked(on)
        on.client.plays(BYE)
        refused, _ = await on.over()
    assert (told["type"], told["status"], told["error"]["code"]) == ("error", status, code)
    assert (refused.ending, refused.status, refused.bill.account) == (Ending.NEVER_SENT, status, None)
    assert on.upstream.sent == [create()]


async def test_while_records_cannot_be_written_no_turn_begins() -> None:
    async with line(await keyed()) as on:
        on.scene.store.__class__ = Full
        on.client.plays(create())
        told = json.loads((await on.client.has_sent(1))[0])
        on.client.plays(BYE)
        await on.over()
    assert told["status"] == 503


async def test_a_client_that_reads_slowly_slows_the_provider() -> None:
    async with line(await keyed()) as on:
        await asked(on)
        on.client.slow = True
        on.upstream.plays(created("resp_1"), *[delta("x")] * 100, terminal("resp_1"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert on.upstream._coming.qsize() >= 100  # one frame was taken, and is on its way
        on.client.stops_being_slow()
        await on.client.has_sent(102)
        on.client.plays(BYE)
        (record,) = await on.over()
    assert record.ending is Ending.COMPLETE


async def test_a_postpaid_account_and_no_account_at_all() -> None:
    for scene in (await stage().with_key(AccountKind.POSTPAID, credit=0), stage(keys={"ops": KEY_TEXT.decode()})):
        async with line(scene) as on:
            await asked(on)
            on.upstream.plays(terminal("resp_1"))
            await on.records(1)
            on.client.plays(BYE)
            (record,) = await on.over()
        assert record.bill.cost_nanos == CHARGE


async def test_a_fault_of_ours_ends_the_line_and_settles(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Exception):
        pass

    async with line(await keyed()) as on:
        await asked(on)
        on.upstream._coming.put_nowait(Odd("no such thing"))  # type: ignore[arg-type]
        (record,) = await on.over()
    assert record.ending is Ending.GATEWAY_FAILED
    assert "no such thing" in caplog.text
    assert on.client.closed is not None
    assert on.client.closed[0] == 1011


async def test_a_provider_that_falls_silent_in_its_answer_is_given_up() -> None:
    async with line(await keyed(), idle_seconds=0.05) as on:
        await asked(on)
        on.upstream.plays(created("resp_1"), delta("word " * 20))
        assert (await on.client.is_closed())[0] == 1011
        (record,) = await on.over()
    assert record.ending is Ending.UPSTREAM_CUT
    assert record.bill.settled is Settled.CAPTURED


async def test_a_provider_of_its_own_limits_is_held_to_them() -> None:
    hasty = replace(deployment("openai"), limits=TimeLimits(idle=0.05))
    async with line(await stage(deployments=[hasty]).with_key()) as on:
        await asked(on)
        on.upstream.plays(created("resp_1"), delta("word " * 20))
        assert (await on.client.is_closed())[0] == 1011
        (record,) = await on.over()
    assert record.ending is Ending.UPSTREAM_CUT


async def test_a_line_on_which_nothing_is_said_is_closed_and_costs_nothing() -> None:
    async with line(await keyed(), unused_seconds=0.05) as on:
        assert (await on.client.is_closed())[0] == 1001
        assert await on.over() == []
