"""One ring for all that is brought at once, and none is ever missed."""

import asyncio
import threading
from typing import Any

from headgate.stores.bell import Bell, Ring


async def test_one_ring_follows_all_whose_turn_it_is() -> None:
    bell = Bell()
    heard: list[Any] = []
    loop = asyncio.get_running_loop()

    async def bring(number: int) -> None:
        bell.ring_soon(loop)
        heard.append((number, bell.heard(0, 0)))

    await asyncio.gather(*(bring(number) for number in range(5)))
    assert heard == [(number, False) for number in range(5)], "it does not ring before the last has spoken"
    await asyncio.sleep(0)
    assert bell.heard(0, 0)
    bell.looks()
    assert not bell.heard(0, 0), "it rang once"


def test_who_has_been_woken_is_not_woken_again_before_he_looks() -> None:
    bell = Bell()
    for _ in range(3):
        bell.ring(Ring.GATHER)
    assert bell.heard(0, 0)
    bell.ring(Ring.GATHER)
    bell.looks()
    assert not bell.heard(0, 0)
    bell.ring(Ring.GATHER)
    assert bell.heard(0, 0)


def test_what_gathers_is_gone_for_at_once_when_somebody_waits() -> None:
    bell = Bell()
    bell.ring(Ring.GATHER)
    bell.ring(Ring.AT_ONCE)
    assert bell.heard(None, gathering=3600)
    bell.looks()
    bell.heard(0, 0)
    assert not bell.heard(0, 0)


def test_what_comes_while_he_waits_for_more_is_looked_for_without_a_ring() -> None:
    bell = Bell()
    ringing = threading.Timer(0.02, bell.ring, [Ring.GATHER])
    ringing.start()
    assert bell.heard(None, gathering=0.2)
    assert bell._rings.empty()
    bell.looks()
    assert not bell.heard(0, 0)
    ringing.join()


def test_who_sleeps_is_woken_for_what_may_wait() -> None:
    bell = Bell()
    ringing = threading.Timer(0.05, bell.ring, [Ring.GATHER])
    ringing.start()
    assert bell.heard(None, gathering=0.001)
    ringing.join()


def test_a_loop_that_ended_before_it_rang_keeps_no_other_from_ringing() -> None:
    bell = Bell()
    ended = asyncio.new_event_loop()
    bell.ring_soon(ended)
    ended.close()

    async def bring() -> None:
        bell.ring_soon(asyncio.get_running_loop())
        await asyncio.sleep(0)

    asyncio.run(bring())
    assert bell.heard(0, 0)


def test_a_ring_wakes_another_thread() -> None:
    bell = Bell()
    heard: list[Any] = []
    thread = threading.Thread(target=lambda: heard.append(bell.heard(None, gathering=3600)))
    thread.start()
    bell.ring(Ring.AT_ONCE)
    thread.join()
    assert heard == [True]


def test_every_ring_is_followed_by_a_look() -> None:
    """However two threads interleave: what was brought before a ring that was left out is seen."""
    bell = Bell()
    brought: list[int] = []
    seen: list[int] = []

    def bring() -> None:
        for number in range(20_000):
            brought.append(number)
            bell.ring(Ring.GATHER if number % 2 else Ring.AT_ONCE)

    thread = threading.Thread(target=bring)
    thread.start()
    while len(seen) < 20_000:
        assert bell.heard(10, 0)
        bell.looks()
        seen.extend(brought[len(seen) :])
    thread.join()
    assert seen == brought
