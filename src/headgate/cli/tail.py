"""`headgate tail`: exchanges as they end."""

import sys
from collections.abc import Callable
from io import UnsupportedOperation
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli import source
from headgate.errors import Busy
from headgate.records import Mark, Record, Wanted

Show = Callable[[Record], None]

_PAUSE_SECONDS = 0.5
"""Between looks at the database."""
_PAGE = 1_000
_WIDTH_OF_A_FILE = 160


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tail)


def tail(
    *,
    number: Annotated[
        int, typer.Option("-n", "--number", min=0, max=100_000, help="Begin with the last so many.")
    ] = 10,
    key: source.Key = None,
    account: source.Account = None,
    model: source.Model = None,
    provider: source.Provider = None,
    failed: source.Failed = False,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C, or just show the last ones.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON for each, as the admin API gives it.")
    ] = False,
    db: source.Database = None,
    config: source.Config = None,
) -> None:
    """Show exchanges as they end, from the database, while gateways write to it. Times are UTC; ~ is an estimate."""
    import asyncio
    import os

    wanted = Wanted(key=key, account=account, model=model, provider=provider, mark=Mark.FAILED if failed else None)
    try:
        asyncio.run(_tail(wanted, number, follow=follow, as_json=as_json, db=db, config=config))
    except KeyboardInterrupt:
        return  # the only way to end it
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in buffers goes there


async def _tail(
    wanted: Wanted, number: int, *, follow: bool, as_json: bool, db: Path | None, config: Path | None
) -> None:
    show = _as_json if as_json else _as_lines()
    async with source.opened(config, db) as found:
        await _follow(found.records, wanted, number, show, on=follow)


async def _follow(records: source.Records, wanted: Wanted, number: int, show: Show, *, on: bool) -> None:
    """Show the last `number`, and then, if it is to go `on`, each that arrives, once."""
    import asyncio
    import time

    from headgate.cli.following import LOOKED_BACK_AT, Following

    # The numbers first: what arrives between the two questions is found by both, and known by its id.
    following = Following(await records.last_arrivals(LOOKED_BACK_AT), time.monotonic())
    last = await records.search(wanted, number) if number else []
    shown = {record.exchange_id for record in last}
    for record in sorted(last, key=lambda record: record.started_at_ns + record.total_ns):
        show(record)
    away = False
    while on and not _nobody_reads():
        try:
            found = await records.arrived(following.after, _PAGE, following.missing)
        except Busy as error:
            if not away:
                typer.echo(f"headgate: {error.message} Trying again.", err=True)
            away, found = True, []
        else:
            away = False
        for record in following.take(found, time.monotonic()):
            if wanted.fits(record) and record.exchange_id not in shown:
                show(record)
        if len(found) < _PAGE:
            await asyncio.sleep(_PAUSE_SECONDS)


def _nobody_reads() -> bool:
    """Whether the other end of the pipe is closed; without a record to write, nothing else would tell."""
    import select

    try:
        fileno = sys.stdout.fileno()
    except (UnsupportedOperation, ValueError):
        return False
    poll = select.poll()
    poll.register(fileno, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _as_json(record: Record) -> None:
    import msgspec

    from headgate.admin.records import record_view

    _write(msgspec.json.encode(record_view(record)).decode() + "\n")


def _as_lines() -> Show:
    """Shows a record as a line; the titles come before the first, and again when the terminal gets another width."""
    from rich.console import Console
    from rich.text import Text

    from headgate.cli.lines import heading, layout, line

    console = Console()
    width = 0

    def put(text: Text) -> None:
        with console.capture() as captured:
            console.print(text, no_wrap=True, overflow="ignore", crop=False, highlight=False)
        _write(captured.get())

    def show(record: Record) -> None:
        nonlocal width
        now = console.width if console.is_terminal or _told_width() else _WIDTH_OF_A_FILE
        places = layout(now)
        if now != width:
            width = now
            put(heading(places))
        put(line(record, places))

    return show


def _told_width() -> bool:
    import os

    return os.environ.get("COLUMNS", "").isdecimal()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
