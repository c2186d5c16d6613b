"""`python -m bench`: the side-by-side run. Linux only. See docs/performance.md."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import uvloop

from bench import gateways, machine, report, rounds, scaling, versions, workloads
from bench.figures import Results
from bench.targets import Target
from bench.workloads import Plan

_ROOT = Path(__file__).parent.parent
_PAGE = _ROOT / "docs" / "performance.md"
RESULTS = _ROOT / "bench" / "results"
_BESIDE = (rounds.LATENESS, rounds.MEMORY, rounds.COLD)


def main(arguments: list[str]) -> int:
    """Run, print, and keep. Returns the exit status: 0; 1 if anything went wrong; 2 if a gateway is missing."""
    options = _options(arguments)
    plan = workloads.QUICK if options.quick else workloads.FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds, paced_rounds=min(options.rounds, plan.paced_rounds))
    chosen = _chosen(gateways.all_of(workloads.scripts(plan)), options)
    if missing := _missing(chosen, install=options.install):
        for target in missing:
            print(
                f"{target.name} is missing; `{' '.join(target.install)}`, or --without {target.name}", file=sys.stderr
            )
        return 2
    loads = [each for each in workloads.workloads(plan) if not options.loads or each.key in options.loads]
    beside = frozenset(options.loads or (_BESIDE[1:] if options.quick else _BESIDE)) & frozenset(_BESIDE)
    asked = rounds.Asked(plan, loads, beside)
    about = _about(plan, chosen, options)
    try:
        cores = machine.share_out(list(os.sched_getaffinity(0)))
        with run_folder() as folder:
            results = uvloop.run(rounds.run(asked, chosen, cores, Path(folder)))
    except (RuntimeError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    told = report.text(results, [target.name for target in chosen], about)
    print(told)
    kept = report.write_json(RESULTS, report.as_json(results, about))
    print(f"\nEvery value: {kept.relative_to(_ROOT)}")
    if options.write_docs:
        report.write_page(_PAGE, told)
        scaling.write_page()
    return 1 if _wrong(results) else 0


def run_folder() -> tempfile.TemporaryDirectory[str]:
    """Beside the results, as the system's folder for temporary files may be in memory, and records cost a real disk."""
    RESULTS.mkdir(exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="run-", dir=RESULTS)


def _wrong(results: Results) -> bool:
    return bool(results.failures.total() or results.notes)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="direct and six gateways side by side")
    parser.add_argument("--quick", action="store_true", help="about three minutes instead of twenty-five; noisier")
    parser.add_argument("--install", action="store_true", help="install what is missing (as root where apt-get is)")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="put the report into docs/performance.md, and what follows from it into docs/scaling.md",
    )
    parser.add_argument("--rounds", type=int, help="instead of the plan's")
    names = [target.name for target in gateways.all_of(())]
    parser.add_argument("--without", action="append", default=[], choices=names, help="leave this gateway out")
    parser.add_argument("--only", action="append", default=[], choices=names, help="nothing but this one, and nginx")
    keys = [each.key for each in workloads.workloads(workloads.FULL)]
    parser.add_argument("--loads", nargs="+", choices=[*keys, *_BESIDE], help="nothing but these")
    options = parser.parse_args(arguments)
    if options.write_docs and (options.loads or options.only):
        parser.error("the page is of a whole run")
    return options


def _chosen(every: Sequence[Target], options: argparse.Namespace) -> list[Target]:
    only = {*options.only, gateways.NGINX.name} if options.only else {target.name for target in every}
    return [target for target in every if target.name in only - {*options.without}]


def _missing(chosen: Sequence[Target], *, install: bool) -> list[Target]:
    missing = [target for target in chosen if target.program() is None]
    for target in missing if install else ():
        subprocess.run(target.install, check=False, cwd=_ROOT)
    return [target for target in missing if target.program() is None]


def _about(plan: Plan, chosen: Sequence[Target], options: argparse.Namespace) -> dict[str, str]:
    packages = [f"{name} {version(name)}" for name in ("headgate", "uvloop", "httptools", "uvicorn")]
    peers = [found for target in chosen if (found := versions.of(target.name))]
    about = {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, mode {plan.mode}",
        "rounds": f"{plan.rounds}, of them paced {plan.paced_rounds}; memory {plan.memory_rounds} and cold start "
        f"{plan.cold_starts} fresh processes each",
        **machine.description(),
        "versions": ", ".join((*packages, *peers)),
        "answers": "compared byte for byte; those of "
        + " and ".join(target.name for target in chosen if not target.exact)
        + " for text, end and output tokens, as they write answers anew",
    }
    if all(target.exact for target in chosen):
        about["answers"] = "compared byte for byte"
    if options.without or options.only or options.loads:
        about["left out"] = "some of it, on the command line: not a whole run"
    return about


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
