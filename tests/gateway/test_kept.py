"""A refusal that is kept whole, or not at all."""

import asyncio
from typing import Any

import pytest

from headgate.errors import UpstreamCut
from headgate.gateway import kept
from headgate.gateway.kept import KeptCall, keep
from headgate.gateway.upstream import Head

from .fakes import HANG, JSON, FakeCall

HEAD = Head(429, JSON)


async def test_a_whole_answer_is_kept_and_told_as_it_came() -> None:
    found = await keep(FakeCall(HEAD, [b"slow ", b"down"]), HEAD)
    assert found is not None
    call = KeptCall(found)
    assert (await call.head(), await call.read(), await call.read()) == (HEAD, b"slow down", b"")
    assert call.sent
    call.abort()


@pytest.mark.parametrize(
    "steps", [(b"a", UpstreamCut("It broke off.")), (b"x" * kept.LARGEST, b"y"), (b"a", HANG)],
    ids=["cut", "large", "slow"],
)  # fmt: skip
async def test_what_cannot_be_kept_whole(steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_SECONDS", 0.01)
    async with asyncio.timeout(5):
        assert await keep(FakeCall(HEAD, steps), HEAD) is None
