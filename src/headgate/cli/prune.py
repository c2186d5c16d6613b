"""`headgate prune`: remove old records, and nothing but records."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import source
from headgate.errors import Busy, ConfigError

if TYPE_CHECKING:
    from headgate.cli.desk import Acting
    from headgate.wiring_store import Store

_NS = 1_000_000_000
_SLICE = 500
_PATIENCE_SECONDS = 60.0
"""How long the last records are waited for that are not in the sums yet: that takes a second or two."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(prune)


def prune(
    *,
    older_than: Annotated[
        str, typer.Option(help="What began longer ago: 90d, 24h, or before a day: 2026-11-01 (UTC).")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    db: source.Database = None,
    config: source.Config = None,
) -> None:
    """Remove the records of old exchanges. The ledger, and what usage sums up to, stay as they are."""
    import asyncio
    import time

    from headgate.cli.desk import keep
    from headgate.cli.usage import parse_since

    before_ns = parse_since(older_than, time.time_ns(), "--older-than")
    number, first_ns = asyncio.run(_found(before_ns, config, db))
    if first_ns is None:
        typer.echo(f"No record is older than {_time(before_ns)}.")
        return
    typer.echo(
        f"{number:,} records of exchanges that began from {_time(first_ns)} to {_time(before_ns)} "
        f"{'would be' if dry_run else 'will be'} removed for good.\n"
        "What stays: the ledger's entries, holds and balances; keys, budgets and the audit log; and what "
        "`headgate usage` and the series sum up to, from then on by whole hours."
    )
    if dry_run:
        return
    if not yes:
        typer.confirm("Remove them?", abort=True)
    removed = keep(config, db, lambda store, _, doing: _remove(store, doing, before_ns, number))
    typer.echo(f"{removed:,} records were removed. The database keeps its size; what is free in it is used again.")


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // _NS, UTC):%Y-%m-%d %H:%M} UTC"


async def _found(before_ns: int, config: Path | None, db: Path | None) -> tuple[int, int | None]:
    async with source.opened(config, db) as found:
        return await found.records.older_than(before_ns)


async def _remove(store: "Store", doing: "Acting", before_ns: int, number: int) -> int:
    """Remove them slice by slice; a gateway on the same database writes in between. Returns how many there were."""
    from headgate.cli.progress import counting

    removed = 0
    async with doing("prune", "records", {"before": _time(before_ns), "records": number}):
        with counting("Removing", "records", number) as advance:
            while slice_ := await _slice(store, before_ns):
                removed += slice_
                advance(slice_, "")
    return removed


async def _slice(store: "Store", before_ns: int) -> int:
    """Remove some; none only if none is left. Raises ConfigError if they cannot be removed."""
    import asyncio

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not (removed := await store.prune(before_ns, _SLICE)):
                if (await store.older_than(before_ns))[0] == 0:
                    return 0
                await asyncio.sleep(0.2)  # the store is about to add the rest to the sums
            return removed
    except (Busy, TimeoutError) as error:
        raise ConfigError("the rest cannot be removed at the moment; what was removed stays so.") from error
