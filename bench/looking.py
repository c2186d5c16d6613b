"""`python -m bench.looking`: what open dashboards cost the streams. Windows with and without onlookers take turns.

All accounting is on. The onlookers read the live view's events from the harness's own process, as browsers would.
"""

import asyncio
import gc
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import uvloop

from bench import load, machine, targets
from bench.figures import percentile
from bench.load import Load, Tally
from bench.rounds import paced
from bench.script import FRAME_SIZE, SHORT_STREAM
from bench.targets import Running, Target

_ONLOOKERS = 5
_STREAMS, _SECONDS, _TURNS = 300, 6.0, 3
_KEY = "the admin key of the bench"


def _prepare(models: list[str], folder: Path, port: int, upstream_port: int) -> list[str]:
    command = targets.with_accounts(models).prepare(folder, port, upstream_port)
    with (folder / "headgate.toml").open("a") as config:
        config.write(f'\n[admin.keys]\nbench = "{_KEY}"\n')
    return command


@asynccontextmanager
async def looking(port: int, count: int) -> AsyncIterator[list[int]]:
    """So many onlookers for a while; the bytes that each of them has read."""
    read = [0] * count

    async def look(at: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /admin/v1/live/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {_KEY}\r\n\r\n"
        writer.write(head.encode())
        try:
            while data := await reader.read(65536):
                read[at] += len(data)
        finally:
            writer.close()

    tasks = [asyncio.create_task(look(at)) for at in range(count)]
    try:
        yield read
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _window(target: Running, asked: Load, onlookers: int) -> tuple[Tally, float]:
    """What a load saw in a window, and the gateway's CPU time in it, in seconds."""
    assert target.pid is not None
    async with AsyncExitStack() as stack:
        read = await stack.enter_async_context(looking(target.port, onlookers))
        tally = await stack.enter_async_context(load.running(target.port, asked))
        await asyncio.sleep(0.5)
        tally.restart()
        cpu, start = machine.cpu_ns(target.pid), perf_counter()
        await asyncio.sleep(_SECONDS)
        cpu_seconds = (machine.cpu_ns(target.pid) - cpu) / 1e9 / (perf_counter() - start)
        seen = tally.snapshot()
        if onlookers and min(read) < 1000:
            raise RuntimeError("an onlooker saw nothing")
    return seen, cpu_seconds


async def _measure(folder: Path) -> None:
    lasting, short = paced(_SECONDS + 1), SHORT_STREAM
    target = Target("looked at", partial(_prepare, [lasting.model, short.model]))
    cores = machine.share_out(list(os.sched_getaffinity(0)))
    loads = {
        f"{_STREAMS} open streams": Load(lasting, _STREAMS, spread=1.0, think=None),
        "50 lanes of short streams": Load(short, 50, spread=0.2, think=0.05),
    }
    gc.disable()
    with (
        targets.upstream(cores.upstream) as direct,
        machine.pinned(cores.generator),
        targets.gateway(target, direct.port, cores.target, folder) as gateway,
    ):
        for name, asked in loads.items():
            for onlookers, figures in (await _in_turns(gateway, asked)).items():
                cpu, frames, p50, p99 = (median(column) for column in zip(*figures, strict=True))
                print(
                    f"{name}, {onlookers} onlookers: {cpu:.1f} % of a core, {frames:,.0f} frames/s, "
                    f"first byte p50 {p50:.2f} ms, p99 {p99:.2f} ms"
                )


async def _in_turns(gateway: Running, asked: Load) -> dict[int, list[tuple[float, ...]]]:
    """By the number of onlookers, for each window: CPU in percent, frames a second, and first bytes in ms.

    Raises RuntimeError if an answer was wrong.
    """
    seen: dict[int, list[tuple[float, ...]]] = {0: [], _ONLOOKERS: []}
    for _ in range(_TURNS):
        for onlookers, figures in seen.items():
            tally, cpu = await _window(gateway, asked, onlookers)
            gc.collect()
            if tally.failures:
                raise RuntimeError(f"{tally.failures} answers were wrong")
            p50, p99 = (percentile(tally.first_bytes, percent) or 0 for percent in (50, 99))
            figures.append((cpu * 100, tally.body_bytes / FRAME_SIZE / _SECONDS, p50 / 1e6, p99 / 1e6))
    return seen


def main() -> int:
    """Measure, and print the medians."""
    with tempfile.TemporaryDirectory(prefix="headgate-looking-") as folder:
        uvloop.run(_measure(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
