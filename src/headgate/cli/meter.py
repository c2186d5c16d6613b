"""`headgate meter`: reads recorded response bodies and prints what a meter makes of them, one JSON line a file."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FramingName(StrEnum):
    """How a body is cut into frames."""

    AUTO = "auto"
    SSE = "sse"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("meter")(meter)


def meter(
    files: Annotated[list[str], typer.Argument(help="Recorded response bodies; - is standard input.")],
    dialect: Annotated[str, typer.Option(help="The wire API they are in, e.g. openai.chat.")],
    content_type: Annotated[str, typer.Option(help="The Content-Type they came with.")] = "",
    framing: Annotated[
        FramingName, typer.Option(help="How to cut them into frames; auto goes by the first byte.")
    ] = FramingName.AUTO,
) -> None:
    """Print the reading of recorded response bodies, one JSON line per file."""
    from headgate.dialects import registry
    from headgate.dialects.base import Answer, Meter
    from headgate.framing.base import Framing
    from headgate.framing.document import Document
    from headgate.framing.sse import ServerSentEvents

    try:
        speaks = registry.by_name(dialect)
    except ValueError as error:
        _fail(str(error))
        raise typer.Exit(2) from None
    framings: dict[FramingName, type[Framing]] = {FramingName.SSE: ServerSentEvents, FramingName.JSON: Document}
    failed = False
    for file in files:
        try:
            body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except OSError as error:
            _fail(f"cannot read {file}: {error.strerror}")
            failed = True
            continue
        told = framings[framing]() if framing in framings else None
        answer = Answer(200, content_type)
        watch = Meter(speaks.tally(), answer, framing=told) if told is not None else speaks.meter(answer)
        watch.feed(body)
        print(json.dumps({"file": file} | watch.finish(ended=True).as_json()))
    if failed:
        raise typer.Exit(2)


def _fail(message: str) -> None:
    print(f"headgate meter: {message}", file=sys.stderr)
