"""`python -m bench`: the side-by-side run. Linux only. See docs/performance.md."""

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import uvloop

from bench import machine, report, rounds, targets
from bench.figures import Results

_ROOT = Path(__file__).parent.parent
_PAGE = _ROOT / "docs" / "performance.md"
_RESULTS = _ROOT / "bench" / "results"


def main(arguments: list[str]) -> int:
    """Run, print, and keep. Returns the exit status: 0; 1 if anything went wrong; 2 if nginx is missing."""
    options = _options(arguments)
    if targets.nginx_path() is None and options.install:
        subprocess.run(targets.NGINX_INSTALL, check=False)
    if targets.nginx_path() is None:
        print(f"nginx is missing; as root: {' '.join(targets.NGINX_INSTALL)}", file=sys.stderr)
        return 2
    plan = rounds.QUICK if options.quick else rounds.FULL
    gateways = (targets.NGINX, targets.HEADGATE, targets.with_accounts(rounds.models(plan)))
    about = _about(plan)
    try:
        cores = machine.share_out(list(os.sched_getaffinity(0)))
        with _run_folder() as folder:
            results = uvloop.run(rounds.run(plan, gateways, cores, Path(folder)))
    except (RuntimeError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    told = report.text(results, [target.name for target in gateways], about)
    print(told)
    kept = report.write_json(_RESULTS, report.as_json(results, about))
    print(f"\nEvery value: {kept.relative_to(_ROOT)}")
    if options.write_docs:
        report.write_page(_PAGE, told)
    return 1 if _wrong(results) else 0


def _run_folder() -> tempfile.TemporaryDirectory[str]:
    """Beside the results, as the system's folder for temporary files may be in memory, and records cost a real disk."""
    _RESULTS.mkdir(exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="run-", dir=_RESULTS)


def _wrong(results: Results) -> bool:
    return bool(results.failures.total() or results.notes)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="direct, nginx and headgate side by side")
    parser.add_argument("--quick", action="store_true", help="about one minute instead of six; noisier")
    parser.add_argument("--install", action="store_true", help="install nginx with apt-get if it is missing (as root)")
    parser.add_argument("--write-docs", action="store_true", help="put the report into docs/performance.md")
    return parser.parse_args(arguments)


def _about(plan: rounds.Plan) -> dict[str, str]:
    nginx = subprocess.run([targets.nginx_path() or "nginx", "-v"], capture_output=True, text=True, check=True)
    packages = ", ".join(f"{name} {version(name)}" for name in ("headgate", "uvloop", "httptools", "uvicorn"))
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, mode {plan.mode}",
        "rounds": f"{plan.rounds}, of them paced {plan.paced_rounds}; memory {plan.memory_rounds} fresh processes each",
        **machine.description(),
        "versions": f"{packages}, {nginx.stderr.strip().removeprefix('nginx version: ')}",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
