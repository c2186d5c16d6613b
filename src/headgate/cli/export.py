"""`headgate export`: all records as one file."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Protocol

import typer

from headgate.cli import source
from headgate.errors import ConfigError
from headgate.records import Mark, Record, Wanted


class Form(StrEnum):
    """What the file can be."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


_PAGE = 1_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    *,
    form: Annotated[Form, typer.Option("--format", help="What the file is to be.")] = Form.CSV,
    since: Annotated[
        str | None, typer.Option(help="What began then or later: 7d, 24h, 90m, or 2026-11-01 (UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="What began before then, likewise.")] = None,
    key: source.Key = None,
    account: source.Account = None,
    model: source.Model = None,
    provider: source.Provider = None,
    failed: source.Failed = False,
    out: Annotated[
        Path | None, typer.Option(help="The file to write, whole or not at all; else standard output.")
    ] = None,
    db: source.Database = None,
    config: source.Config = None,
) -> None:
    """Write every record there is, the newest first, as CSV, JSON lines or Parquet: one row each, nothing rounded."""
    import asyncio
    import time

    from headgate.cli.files import in_place_of
    from headgate.cli.progress import told
    from headgate.cli.usage import parse_since

    if form is Form.PARQUET and out is None:
        raise typer.BadParameter("Parquet cannot be written to standard output", param_hint="--out")
    now_ns = time.time_ns()
    since_ns = None if since is None else parse_since(since, now_ns)
    until_ns = None if until is None else parse_since(until, now_ns, "--until")
    wanted = Wanted(
        since_ns, until_ns, key=key, account=account, model=model, provider=provider,
        mark=Mark.FAILED if failed else None,
    )  # fmt: skip
    with nullcontext(sys.stdout.buffer) if out is None else in_place_of(out) as file:
        number = asyncio.run(_write(wanted, form, file, config, db))
        file.flush()
    told(f"{number:,} records" + ("" if out is None else f" in {out}"))


async def _write(wanted: Wanted, form: Form, file: BinaryIO, config: Path | None, db: Path | None) -> int:
    """Write all records that are wanted; returns how many there were."""
    from headgate.admin.export import pages, time_text
    from headgate.cli.progress import counting

    number = 0
    async with source.opened(config, db) as found:
        with _sink(form, file) as sink, counting("Exporting", "records") as advance:
            async for page in pages(found.records, wanted, _PAGE):
                if not page:
                    continue
                sink.write(page)
                number += len(page)
                advance(len(page), f"back to {time_text(page[-1].started_at_ns)[:19]}")
    return number


class Sink(Protocol):
    """Takes records in one format."""

    def write(self, records: Sequence[Record]) -> None:
        """Take some."""


@contextmanager
def _sink(form: Form, file: BinaryIO) -> Iterator[Sink]:
    if form is not Form.PARQUET:
        yield _Lines(form, file)
        return
    try:
        from headgate.cli.parquet import ParquetFile
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install 'headgate[parquet]'.") from error
    with closing(ParquetFile(file)) as sink:
        yield sink


class _Lines:
    """CSV or JSON lines."""

    def __init__(self, form: Form, file: BinaryIO) -> None:
        from headgate.admin.export import Format, head

        self._format = Format(str(form))
        self._file = file
        file.write(head(self._format))

    def write(self, records: Sequence[Record]) -> None:
        from headgate.admin.export import rendered

        self._file.write(rendered(records, self._format))
