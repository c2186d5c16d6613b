"""How far a long command has come, on a terminal's standard error and nowhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

Advance = Callable[[int, str], None]
"""So many more are done; and what is to be told beside their number."""


def _quietly(_number: int, _note: str = "") -> None:
    """Nobody looks on."""


@contextmanager
def counting(label: str, unit: str, total: int | None = None) -> Iterator[Advance]:
    """Show how many are done, of how many if that is known, how fast, and for how long."""
    if not sys.stderr.isatty():
        yield _quietly
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    of = "" if total is None else " of {task.total:,}"
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    columns += [] if total is None else [BarColumn()]
    columns += [TextColumn("{task.completed:,}" + of + " " + unit), TextColumn("{task.fields[note]}", style="dim")]
    columns += [TimeElapsedColumn()] if total is None else [TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=total, note="")

        def advance(number: int, note: str = "") -> None:
            shown.update(task, advance=number, note=note)

        yield advance


@contextmanager
def waiting(label: str, after_seconds: float = 0.5) -> Iterator[None]:
    """Show that something goes on whose end cannot be told, once it has taken that long."""
    if not sys.stderr.isatty():
        yield
        return
    import threading

    from rich.console import Console

    status = Console(stderr=True).status(label)
    timer = threading.Timer(after_seconds, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


def told(text: str) -> None:
    """A line for who looks on."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
