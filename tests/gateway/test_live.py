import dataclasses

from msgspec.structs import replace

from headgate.dialects.base import Ask
from headgate.gateway.admit import Admission
from headgate.gateway.holder import NOBODY
from headgate.gateway.live import _REMEMBERED, Live, Running
from headgate.gateway.locate import Place
from headgate.gateway.request import Opening
from headgate.records import Record
from headgate.routing.models import Route
from tests.stores.examples import a_record

from .fakes import BEARER, CHAT, DONE, FINISH, FIRST, USAGE, FakeClient, deployment, ok, post, stage


def running(exchange_id: str) -> Running:
    admission = Admission(post("/x", b""), Place("/x"), Ask(), NOBODY)
    opening, route = Opening(exchange_id, 0, 0, lambda: 0), Route(deployment("openai"), None)
    return Running(opening, admission, route, None, stage().gateway.appraiser)


def test_an_exchange_is_under_way_until_it_is_closed() -> None:
    live, one, other = Live(), running("one"), running("other")
    live.add(one)
    live.add(other)
    assert (len(live), list(live)) == (2, [one, other])
    assert live.running("one") is one
    assert live.record("one") is None
    record = a_record("one")
    live.close(record)
    assert live.running("one") is None
    assert live.record("one") is record
    assert list(live) == [other]
    assert live.running("never") is None
    assert live.record("never") is None


def test_they_may_end_while_someone_looks_at_them_all() -> None:
    live = Live()
    for name in "abc":
        live.add(running(name))
    for each in live:
        live.close(a_record(each.opening.exchange_id))
    assert len(live) == 0


def test_one_that_never_was_under_way_is_not_remembered() -> None:
    live = Live()
    live.close(a_record("refused"))
    assert live.record("refused") is None


def test_no_more_are_remembered_than_there_is_room_for() -> None:
    live = Live()
    names = [str(n) for n in range(_REMEMBERED + 2)]
    for name in names:
        live.add(running(name))
        live.close(a_record(name))
    assert [name for name in names if live.record(name) is None] == names[:2]
    assert len(live) == 0


async def test_an_exchange_is_seen_between_its_hold_and_its_settlement() -> None:
    seen: list[tuple[bool, bool, Record | None]] = []
    live = Live()

    def look() -> None:
        (each,) = live
        seen.append((each.held is not None, each.meter is not None, live.record("ex_1")))

    scene = await stage(ok(look, FIRST, FINISH, USAGE, DONE)).with_key()
    scene = dataclasses.replace(scene, gateway=replace(scene.gateway, live=live))
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    assert seen == [(True, True, None)]
    assert (len(live), live.record("ex_1")) == (0, record)


async def test_one_that_failed_before_it_went_out_is_not() -> None:
    scene = await stage().with_key(credit=0)
    await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    assert scene.gateway.live.record("ex_1") is None
