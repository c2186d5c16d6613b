"""`headgate serve`: run the gateway."""

import gc
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    config: Annotated[Path | None, typer.Option(help="A headgate.toml; without it the environment decides.")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT instead of the config's.")] = None,
    database: Annotated[Path | None, typer.Option(help="The SQLite file instead of the config's.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="So many processes that serve, and one that looks after them.", min=1, max=256)
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only tell whether the settings are good.")] = False,
) -> None:
    """Run the gateway: providers from headgate.toml, or from OPENAI_API_KEY, ANTHROPIC_API_KEY and their like."""
    # What is imported stays. Looking through it for garbage again and again costs a twentieth of the start.
    gc.set_threshold(50_000, 50, 50)
    from headgate.cli.working import Reading, run

    reading = Reading(config, listen, database, workers)
    if check:
        reading()
        typer.echo("the settings are good")
    else:
        run(reading)
