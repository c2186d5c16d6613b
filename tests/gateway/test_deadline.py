import asyncio
from typing import Any

import pytest

from headgate.gateway.deadline import Deadline


async def after(event: asyncio.Event) -> str:
    await event.wait()
    return "done"


async def test_what_comes_in_time_is_given_on() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(Deadline(60).wait(after(event)))
    await asyncio.sleep(0)
    event.set()
    assert await waiting == "done"


async def test_what_fails_in_time_fails_so() -> None:
    async def failing() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await Deadline(60).wait(failing())


async def test_each_wait_ends_after_its_own_time_and_others_go_on() -> None:
    deadline, never, soon = Deadline(0.05), asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(deadline.wait(after(never)))
    await asyncio.sleep(0.03)
    second = asyncio.create_task(deadline.wait(after(never)))
    third = asyncio.create_task(deadline.wait(after(soon)))
    with pytest.raises(TimeoutError):
        await first
    assert not second.done()
    soon.set()
    assert await third == "done"
    with pytest.raises(TimeoutError):
        await second
    with pytest.raises(TimeoutError):
        await deadline.wait(after(never))


async def test_what_was_waited_for_is_cancelled_and_the_task_is_not() -> None:
    ended: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(TimeoutError):
        await Deadline(0.01).wait(stubborn())
    task = asyncio.current_task()
    assert task is not None
    assert (ended, task.cancelling()) == (["cancelled"], 0)
    await asyncio.sleep(0)


async def test_who_is_cancelled_while_he_waits_is_cancelled() -> None:
    deadline = Deadline(60)
    waiting = asyncio.create_task(deadline.wait(after(asyncio.Event())))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_who_is_cancelled_when_his_time_is_over_too_is_cancelled() -> None:
    deadline = Deadline(0.01)

    async def both() -> None:
        task: asyncio.Task[Any] | None = asyncio.current_task()
        assert task is not None
        task.get_loop().call_later(0.01, task.cancel)
        await deadline.wait(after(asyncio.Event()))

    waiting = asyncio.create_task(both())
    await asyncio.wait([waiting])
    assert waiting.cancelled() or isinstance(waiting.exception(), TimeoutError)


def test_a_loop_that_ended_keeps_no_other_from_its_deadlines() -> None:
    deadline = Deadline(0.02)

    async def left() -> None:
        waiting = asyncio.create_task(deadline.wait(after(asyncio.Event())))
        await asyncio.sleep(0)
        waiting.cancel()

    async def late() -> None:
        with pytest.raises(TimeoutError):
            await deadline.wait(after(asyncio.Event()))

    for work in (left, late, left, late):
        asyncio.run(work())
