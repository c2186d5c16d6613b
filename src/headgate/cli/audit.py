"""`headgate audit`: who did what, and what was said where bodies are kept."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.desk import AsJson, Config, Database, print_fields, print_json, print_table, printable, time_text
from headgate.errors import NotFound

if TYPE_CHECKING:
    from headgate.audit.deeds import Deed
    from headgate.audit.transcripts import Body, Transcript

Since = Annotated[str | None, typer.Option(help="What happened then or later: 7d, 24h, 90m, or 2026-11-01 (UTC).")]
Until = Annotated[str | None, typer.Option(help="What happened before then, likewise.")]
Limit = Annotated[int, typer.Option(min=1, help="How many.")]
Export = Annotated[Path | None, typer.Option(help="Write all of them to a file as JSON lines; - is standard output.")]
_STDOUT = Path("-")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    audit = typer.Typer(help="Who did what; and what was said, where bodies are kept.", invoke_without_command=True)
    audit.callback()(deeds)
    audit.command()(show)
    audit.command()(transcripts)
    app.add_typer(audit, name="audit")


def deeds(
    context: typer.Context,
    *,
    since: Since = None,
    until: Until = None,
    actor: Annotated[str | None, typer.Option(help="The name of an admin key, or cli:USER.")] = None,
    action: Annotated[str | None, typer.Option(help="What was done, e.g. top_up.")] = None,
    subject: Annotated[str | None, typer.Option(help="To what, e.g. account/acme.")] = None,
    text: Annotated[str | None, typer.Option(help="What is somewhere in it; A to Z are like a to z.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    export: Export = None,
    config: Config = None,
    database: Database = None,
) -> None:
    """List what administrators did, the newest first: done, refused and failed."""
    from headgate.admin.audit import deed_lines, deed_view
    from headgate.audit.deeds import DeedsWanted
    from headgate.cli.desk import actor as me
    from headgate.cli.desk import deeds_of, opened

    if context.invoked_subcommand is not None:
        return
    wanted = DeedsWanted(*_span(since, until), actor, action, subject, text)

    async def found() -> "list[tuple[int, Deed]]":
        async with opened(config, database) as (settings, store):
            if export is None:
                return await store.deeds(wanted, limit)
            await deeds_of(settings, store).keep(me(), "export_deeds", "audit", _filters(wanted), 200)
            await _write(deed_lines(store, wanted), export)
            return []

    numbered = asyncio.run(found())
    if export is not None:
        return
    if as_json:
        print_json([deed_view(*one) for one in numbered])
    elif not numbered:
        typer.echo("Nothing was done.")
    else:
        titles = ["when (UTC)", "who", "what", "to what", "status", "detail"]
        print_table(titles, [_row(deed) for _, deed in numbered], titles[4:5])


def show(
    exchange_id: Annotated[str, typer.Argument(help="The exchange's id, as in its record.")],
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Show what was said in an exchange. That you looked is kept."""
    from headgate.admin.audit import transcript_view
    from headgate.cli.desk import actor, deeds_of, opened

    async def found() -> "Transcript":
        async with opened(config, database) as (settings, store):
            transcript = await store.transcript(exchange_id)
            if transcript is None:
                raise NotFound(f"No bodies are kept of an exchange '{exchange_id}'.")
            subject = f"exchange/{exchange_id}"
            await deeds_of(settings, store).keep(actor(), "get_transcript", subject, {}, 200)
            return transcript

    transcript = asyncio.run(found())
    if as_json:
        print_json(transcript_view(transcript))
        return
    print_fields([*_about(transcript), ("path", transcript.path)])
    for title, body in (("Request", transcript.request), ("Response", transcript.response)):
        typer.echo(f"\n{title}, {_size(body)}:\n")
        typer.echo("\n".join(map(printable, body.text.splitlines())))


def transcripts(
    *,
    since: Since = None,
    until: Until = None,
    key: Annotated[str | None, typer.Option(help="Only those of a key, by its name or id.")] = None,
    text: Annotated[str | None, typer.Option(help="What was said in it; A to Z are like a to z.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    export: Export = None,
    config: Config = None,
    database: Database = None,
) -> None:
    """List the exchanges whose bodies are kept, the newest first. That you looked is kept."""
    from headgate.admin.audit import heading_view, transcript_lines
    from headgate.audit.transcripts import TranscriptsWanted
    from headgate.cli.desk import actor, deeds_of, opened

    wanted = TranscriptsWanted(*_span(since, until), key, text)
    action = "list_transcripts" if export is None else "export_transcripts"

    async def found() -> "list[Transcript]":
        async with opened(config, database) as (settings, store):
            await deeds_of(settings, store).keep(actor(), action, "transcripts", _filters(wanted), 200)
            if export is not None:
                await _write(transcript_lines(store, wanted), export)
                return []
            page = await store.transcripts(wanted, limit)
            listed = list(page.found)
            while page.more is not None and len(listed) < limit:
                page = await store.transcripts(wanted, limit - len(listed), page.more)
                listed += page.found
            return listed

    listed = asyncio.run(found())
    if export is not None:
        return
    if as_json:
        print_json([heading_view(transcript) for transcript in listed])
    elif not listed:
        typer.echo("No bodies are kept of such exchanges. `[[audit.bodies]]` in headgate.toml says of which they are.")
    else:
        titles = [*(name for name, _ in _about(listed[0])), "request", "response"]
        rows = [[*(value for _, value in _about(one)), _size(one.request), _size(one.response)] for one in listed]
        print_table(titles, rows, titles[-2:])


def _span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    from headgate.cli.usage import parse_since

    now_ns = time.time_ns()
    return (
        None if since is None else parse_since(since, now_ns),
        None if until is None else parse_since(until, now_ns, "--until"),
    )


def _filters(wanted: Any) -> dict[str, Any]:
    """What was looked for."""
    return {name: value for name in wanted.__slots__ if (value := getattr(wanted, name)) is not None}


async def _write(lines: AsyncIterator[bytes], path: Path) -> None:
    from headgate.cli.files import in_place_of

    with nullcontext(sys.stdout.buffer) if path == _STDOUT else in_place_of(path) as file:
        async for some in lines:
            file.write(some)
        file.flush()


def _row(deed: "Deed") -> list[str]:
    status = "?" if deed.status is None else str(deed.status)
    detail = deed.detail_text if deed.detail else ""
    return [time_text(deed.at_ns), deed.actor, deed.action, deed.subject, status, detail]


def _about(transcript: "Transcript") -> list[tuple[str, str]]:
    of = "/".join(filter(None, (transcript.dialect, transcript.operation)))
    return [
        ("exchange", transcript.exchange_id),
        ("when (UTC)", time_text(transcript.at_ns)),
        ("key", transcript.key or ""),
        ("what", of),
    ]


def _size(body: "Body") -> str:
    return f"{body.size:,} bytes" + (", cut" if body.truncated else "")
