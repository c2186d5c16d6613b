"""What the commands for accounts, credit, keys and budgets share: the options, the open store, tables and JSON."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from headgate.errors import BadRequest
from headgate.money import dollars_text

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from headgate.access.budgets import Scope, Window
    from headgate.admin.deeds import Deeds, Doing
    from headgate.admin.office import Office, Standing
    from headgate.config import Settings
    from headgate.wiring_store import Store

    Acting = Callable[[str, str, dict[str, Any]], AbstractAsyncContextManager[Doing]]

_T = TypeVar("_T")

Config = Annotated[Path | None, typer.Option(help="The headgate.toml that names the database.")]
Database = Annotated[
    Path | None, typer.Option("--db", "--database", help="The SQLite file, if not in the default place.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs, as the admin API gives it.")]

_NS = 1_000_000_000
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


def ask(config: Path | None, database: Path | None, work: "Callable[[Office], Awaitable[_T]]") -> _T:
    """Look at something in the office of the store that the settings name, while a gateway may be running on it."""
    return act(config, database, lambda office, _: work(office))


def act(config: Path | None, database: Path | None, work: "Callable[[Office, Acting], Awaitable[_T]]") -> _T:
    """Change something there, each change inside a deed: `async with doing(action, subject, detail)`.

    What cannot be kept in the audit log is not done.
    """
    import os
    import time

    from headgate.admin.office import Office
    from headgate.config import access_secret

    def inside(store: "Store", settings: "Settings", doing: "Acting") -> "Awaitable[_T]":
        return work(Office(store, store, access_secret(settings), time.time_ns, os.urandom), doing)

    return keep(config, database, inside)


def keep(config: Path | None, database: Path | None, work: "Callable[[Store, Settings, Acting], Awaitable[_T]]") -> _T:
    """Change something in the store itself, likewise."""
    import asyncio
    from functools import partial

    async def run() -> _T:
        async with opened(config, database) as (settings, store):
            return await work(store, settings, partial(deeds_of(settings, store).doing, actor()))

    return asyncio.run(run())


@asynccontextmanager
async def opened(config: Path | None, database: Path | None) -> "AsyncIterator[tuple[Settings, Store]]":
    """The settings, and the store that they name."""
    from contextlib import AsyncExitStack
    from dataclasses import replace

    from headgate.cli.progress import waiting
    from headgate.config import load
    from headgate.wiring_store import open_store

    settings = load(config)
    if database is not None:
        settings = replace(settings, database=database, postgres=None)
    async with AsyncExitStack() as stack:
        with waiting("Opening the database"):
            store = await stack.enter_async_context(open_store(settings))
        yield settings, store


def deeds_of(settings: "Settings", store: "Store") -> "Deeds":
    """What keeps deeds in a store."""
    import os
    import time

    from headgate.admin.deeds import Deeds
    from headgate.wiring_edition import make_redactor

    return Deeds(store, make_redactor(settings), time.time_ns, os.urandom)


def actor() -> str:
    """Whose deeds they are."""
    return f"cli:{_user()}"


def _user() -> str:
    """The name of the operating system's user; its number where it has none."""
    import os
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def print_json(value: Any) -> None:
    """The document that `--json` asks for; types of the admin API as it gives them."""
    import msgspec

    typer.echo(json.dumps(json.loads(msgspec.json.encode(value)), indent=2, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """A table; the columns named in `numbers` stand to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in numbers else "left", no_wrap=title in numbers)
    for row in rows:
        table.add_row(*(Text(printable(cell), overflow="fold") for cell in row))
    Console().print(table)


def print_fields(fields: Sequence[tuple[str, str]], *, err: bool = False) -> None:
    """A name and a value on each line; what is empty is left out."""
    shown = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        typer.echo(f"{name:<{width}}  {printable(value)}", err=err)


def printable(text: str) -> str:
    """The text without what could steer the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def money(nanos: int | None) -> str:
    """An amount for people; a dash for none."""
    return "-" if nanos is None else dollars_text(nanos)


def time_text(at_ns: int | None) -> str:
    """A time for people, in UTC."""
    return "" if at_ns is None else f"{datetime.fromtimestamp(at_ns // _NS, UTC):%Y-%m-%d %H:%M:%S}"


def usd(text: str, param: str) -> int:
    """Nano-dollars of what was typed: "12.50" or "$12.50", with a sign before it or not. Raises BadRequest."""
    from headgate.admin.texts import nanos_from_usd

    return nanos_from_usd(re.sub(r"^(?:\+|(-))?\$?(?=[0-9])", r"\1", text), param)


def parse_until(text: str, now_ns: int) -> int:
    """What `--expires` means, in nanoseconds since the epoch: a span from now, or a day. Raises BadRequest."""
    span = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if span is not None:
        return now_ns + int(span[1]) * _SECONDS[span[2]] * _NS
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(
            f"--expires: expected a span such as 30d or 12h, or a day such as 2027-01-31, not '{text}'."
        ) from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * _NS


def parse_budget(text: str) -> "tuple[int, Window]":
    """What "50/month" means: nano-dollars, and the window they are for. Raises BadRequest."""
    from headgate.access.budgets import Window

    amount, slash, name = text.partition("/")
    windows = [str(window) for window in Window]
    if not slash or name not in windows:
        raise BadRequest(f"expected a budget such as 50/month, with one of {', '.join(windows)}, not '{text}'.")
    return usd(amount, "budget"), Window(name)


def print_budgets(standings: "Sequence[Standing]", name_of: "Callable[[Scope, str], str]") -> None:
    """A table of budgets, and how full they are. Whose they are is told by `name_of`."""
    rows = [
        [
            str(standing.budget.scope),
            name_of(standing.budget.scope, standing.budget.subject),
            str(standing.budget.window),
            money(standing.budget.limit_nanos),
            money(standing.used_nanos),
            money(standing.held_nanos),
            money(standing.budget.limit_nanos - standing.used_nanos - standing.held_nanos),
        ]
        for standing in standings
    ]
    titles = ["of", "name", "window", "limit", "used", "held", "left"]
    print_table(titles, rows, titles[3:])
