"""A load that lasts, a tenth of it misbehaving: flat memory, nothing left over, exact books.

`make soak` runs it for half an hour with a thousand streams; HEADGATE_SOAK_SECONDS and HEADGATE_SOAK_STREAMS say
otherwise.
"""

import asyncio
import os
from pathlib import Path

import pytest

from tests.faults.samples import MIB, Sample, allowed, growth, second_half, table
from tests.faults.soak import Plan, agrees, audit, soaking

SECONDS = float(os.environ.get("HEADGATE_SOAK_SECONDS", "8"))
STREAMS = int(os.environ.get("HEADGATE_SOAK_STREAMS", "40"))
STREAM_SECONDS = float(os.environ.get("HEADGATE_SOAK_STREAM_SECONDS", str(max(1.0, min(30.0, SECONDS / 10)))))
SEED = int(os.environ.get("HEADGATE_SOAK_SEED", "0"))


def flat(resident: list[int]) -> list[Sample]:
    return [Sample(n, size, 9, 5, 7, 3, 2000) for n, size in enumerate(resident)]


def test_growth_is_what_the_line_through_the_samples_says() -> None:
    assert growth(flat([100, 110, 120, 130, 140])) == pytest.approx(40)
    assert growth(flat([100, 140, 100, 140, 100])) == pytest.approx(0)
    assert [s.seconds for s in second_half(flat([1, 2, 3, 4, 5]))] == [2, 3, 4]
    assert allowed(flat([1, 2, 3])) == 4 * MIB
    by_exchanges = [Sample(n, 0, 0, 0, 0, 0, exchanges) for n, exchanges in enumerate([0, 0, 990, 1100])]
    assert allowed(by_exchanges) == 4 * MIB + 10 * 8 * 1024 + 110 * 2 * 1024
    assert allowed([*by_exchanges, *flat([1] * 9)][-4:]) == 4 * MIB
    assert "+4.00 MiB by" in table(flat([MIB * n for n in range(9)]))


@pytest.mark.timeout(120 + 2 * SECONDS)
async def test_memory_stays_flat_and_the_books_are_exact(tmp_path: Path) -> None:
    plan = Plan(SECONDS, STREAMS, STREAM_SECONDS, SEED)
    async with soaking(plan, tmp_path) as (scene, providers):
        before = await scene.sample()
        await scene.run()
        print(f"\n{table(scene.samples)}")  # noqa: T201 - for whoever runs it by hand
        asked: dict[int, int] = {}
        for each in providers:  # with them their idle connections go
            asked |= await each.stop()
        await scene.client_side.end_all()  # with what stalled before it reached the gateway
        for _ in range(100):
            left = await scene.sample()
            more = (left.tasks - before.tasks, left.sockets - before.sockets, left.holds)
            if more == (0, 0, 0):
                break
            await asyncio.sleep(0.2)
        assert more == (0, 0, 0), (before, left)
    kinds = agrees(scene.heard, asked, await audit(tmp_path / "books.db"))
    print(f"afterwards {left}\nexchanges by ending: {dict(kinds)}")  # noqa: T201
    assert kinds["complete"] > STREAMS
    assert sum(kinds.values()) > kinds["complete"], "nothing misbehaved"
    assert growth(second_half(scene.samples)) <= allowed(scene.samples)
