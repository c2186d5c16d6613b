import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from headgate.workers import siblings as module
from headgate.workers.siblings import Siblings, socket_of


@asynccontextmanager
async def answering(folder: Path, number: int) -> AsyncIterator[Siblings]:
    own = Siblings(folder, number)

    async def answer(detail: str) -> bytes:
        return f"{number} says {detail}".encode() * 10_000

    async def nothing(detail: str) -> bytes:
        await asyncio.Event().wait()
        return detail.encode()

    own.answer("what", answer)
    own.answer("never", nothing)
    await own.open()
    yield own
    await own.aclose()


async def test_each_is_told_what_all_others_say(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        everyone = [await stack.enter_async_context(answering(tmp_path, number)) for number in (1, 2, 10)]
        for own in everyone:
            answers = await own.ask("what", "a thing")
            assert answers == [f"{n} says a thing".encode() * 10_000 for n in (1, 2, 10) if n != own.number]
        assert await everyone[0].ask("what nobody knows") == []


async def test_one_that_is_dead_or_stuck_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.05)
    async with answering(tmp_path, 1) as own, answering(tmp_path, 2):
        dead = await asyncio.start_unix_server(lambda _, writer: writer.close(), socket_of(tmp_path, 3))
        dead.close()
        assert socket_of(tmp_path, 3).exists()
        assert len(await own.ask("what")) == 1
        assert await own.ask("never") == []


async def test_who_ends_is_not_asked_again(tmp_path: Path) -> None:
    async with answering(tmp_path, 1):
        assert socket_of(tmp_path, 1).exists()
    assert not socket_of(tmp_path, 1).exists()
    await Siblings(tmp_path, 2).aclose()
