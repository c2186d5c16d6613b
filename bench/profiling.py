"""headgate under one of the benchmark's loads, for a sampling profiler. `python -m bench.profiling LOAD`.

With py-spy on the path (or `--py-spy FILE`) it samples the gateway and prints where its time goes; without it, it tells
the gateway's process id and keeps the load up, for a profiler of your choice. py-spy is no dependency of the project.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench import gateways, load, machine, targets
from bench.load import Load
from bench.script import Script

LOADS = {
    "documents": Load(Script(), 50),
    "streams": Load(Script(chunks=10, rate=50), 500, spread=0.2),
    "chunks": Load(Script(chunks=400, rate=20), 500, spread=1.5),
}
"""By name: whole answers as fast as they come, short streams, and long ones at a model's pace."""

_LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Share:
    """A function's part of all samples: itself on top, and itself or what it called."""

    function: str
    own: float
    total: float


def shares(folded: str) -> list[Share]:
    """Every function's share, largest total first.

    `folded` is py-spy's raw format: a line per stack, its functions from the outside in, `;` between, then a count.
    """
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        functions = stack.split(";")
        own[functions[-1]] += int(count)
        for function in set(functions):
            total[function] += int(count)
    samples = own.total()
    return [Share(function, own[function] / samples, count / samples) for function, count in total.most_common()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profiling", description=__doc__)
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--py-spy", default=shutil.which("py-spy"), metavar="FILE")
    parser.add_argument("--output", type=Path, help="keep the stacks, folded, as flame graph tools read them")
    return parser.parse_args()


async def _profile(options: argparse.Namespace, folder: Path) -> None:
    cores = machine.share_out(list(os.sched_getaffinity(0)))
    stacks = options.output or folder / "stacks.txt"
    spy = ["record", "--gil", "--duration", str(options.seconds), "--rate", "500", "--format", "raw", "--function"]
    with (
        targets.upstream(cores.upstream) as direct,
        targets.gateway(gateways.HEADGATE, direct.port, cores.target, folder) as gateway,
        machine.pinned(cores.generator),
    ):
        async with load.running(gateway.door, LOADS[options.load]):
            command = [options.py_spy or "py-spy", *spy, "--pid", str(gateway.pid), "--output", str(stacks)]
            if options.py_spy is None:
                print(f"headgate is process {gateway.pid}, for {options.seconds} s; with py-spy: {' '.join(command)}")
                await asyncio.sleep(options.seconds)
                return
            quiet = asyncio.subprocess.DEVNULL
            process = await asyncio.create_subprocess_exec(*command, stdout=quiet)
            await process.wait()
            print(" total    own")
            for share in shares(stacks.read_text()):
                if share.total >= _LEAST_SHARE:
                    print(f"{share.total:6.1%} {share.own:6.1%}  {share.function}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="headgate-profile-") as home:
        uvloop.run(_profile(_options(), Path(home)))
    sys.exit(0)
