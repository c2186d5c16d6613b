"""What is under way ends under the edition that it began under, and each edition is closed once, after its last."""

import asyncio

import pytest

from headgate.errors import Busy
from headgate.gateway.local import LocalAnswers
from headgate.gateway.sessions import Sessions
from headgate.net.editions import Edition, Editions, Receive, Scope, Send
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from tests.gateway.fake_sockets import FakeSockets
from tests.gateway.fakes import stage


async def somewhere(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send


class Told:
    """Editions that tell what becomes of them."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def edition(self, name: str, *mounts: str) -> Edition:
        gateway = stage().gateway
        local = LocalAnswers(Models((), Catalogue.from_json(b"{}"), None), gateway.door, gateway.log, gateway.live, "1")

        def tells(what: str) -> None:
            self.order.append(f"{name} {what}")

        async def tells_later(what: str) -> None:
            tells(what)

        return Edition(
            gateway,
            Sessions(gateway, FakeSockets()),
            local,
            1000,
            dict.fromkeys(mounts, somewhere),
            start=lambda: tells("starts"),
            retire=lambda: tells("retires"),
            close_upstream=lambda: tells_later("cuts"),
            close=lambda: tells_later("closes"),
        )


async def test_an_edition_is_closed_when_the_last_that_began_under_it_is_over() -> None:
    told, over = Told(), asyncio.Event()
    editions = Editions(told.edition("a"), 5)
    first, second = (editions.run(wait(over)) for _ in range(2))
    editions.replace(told.edition("b"))
    assert told.order == ["b starts", "a retires"]
    later = editions.run(wait(asyncio.Event()))
    assert len(editions) == 2
    over.set()
    await asyncio.gather(first, second)
    await asyncio.sleep(0.01)
    assert told.order == ["b starts", "a retires", "a cuts", "a closes"]
    assert len(editions) == 1
    later.cancel()
    await editions.finish()
    assert told.order[4:] == ["b cuts", "b closes"]


async def wait(over: asyncio.Event) -> None:
    await over.wait()


async def test_one_under_which_nothing_runs_is_closed_at_once() -> None:
    told = Told()
    editions = Editions(told.edition("a"), 5)
    for name in "bc":
        editions.replace(told.edition(name))
        await asyncio.sleep(0.01)
    assert told.order == [
        "b starts", "a retires", "a cuts", "a closes", "c starts", "b retires", "b cuts", "b closes",
    ]  # fmt: skip
    assert len(editions) == 1
    await editions.finish()


async def test_a_stop_ends_all_of_them_and_lets_nothing_replace_them() -> None:
    told = Told()
    editions = Editions(told.edition("a"), 0.01)
    stuck = editions.run(wait(asyncio.Event()))
    editions.replace(told.edition("b"))
    editions.cut()
    await editions.finish()
    assert stuck.cancelled()
    assert sorted(told.order[2:]) == ["a closes", "a cuts", "a cuts", "b closes", "b cuts", "b cuts"]
    with pytest.raises(Busy):
        editions.replace(told.edition("c"))


async def test_what_is_mounted_is_found_by_its_first_segment() -> None:
    editions = Editions(Told().edition("a", "/admin/v1", "/metrics"), 5)
    assert editions.mount("/admin/v1/keys") == ("/admin/v1", somewhere)
    assert editions.mount("/metrics") == ("/metrics", somewhere)
    for path in ("/admin", "/admin/v10", "/v1/chat/completions", "/"):
        assert editions.mount(path) is None
    with pytest.raises(ValueError, match="one first segment"):
        Editions(Told().edition("b", "/admin/v1", "/admin/v2"), 5)
