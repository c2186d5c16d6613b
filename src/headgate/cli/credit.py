"""`headgate credit`: money in and out of accounts."""

from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.desk import AsJson, Config, Database, act, ask, money, print_json, print_table, time_text, usd

if TYPE_CHECKING:
    from headgate.admin.office import Office, Posting
    from headgate.cli.desk import Acting

Name = Annotated[str, typer.Argument(help="The account's name.")]
Id = Annotated[
    str | None,
    typer.Option("--id", help="The entry's id, e.g. an invoice number: the same command twice then counts once."),
]

_A_NEGATIVE_AMOUNT = {"ignore_unknown_options": True}
"""-0.25 is an amount and no option."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    credit = typer.Typer(help="Credit: pay into accounts, correct them, see where it went.", no_args_is_help=True)
    credit.command()(add)
    credit.command(context_settings=_A_NEGATIVE_AMOUNT)(correct)
    credit.command()(history)
    app.add_typer(credit, name="credit")


def add(
    name: Name,
    amount: Annotated[str, typer.Argument(metavar="USD", help="Dollars, e.g. 12.50.")],
    *,
    entry_id: Id = None,
    note: Annotated[str, typer.Option(help="A line of your own.")] = "",
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Pay into an account."""
    nanos = usd(amount, "USD")

    async def work(office: "Office", doing: "Acting") -> "Posting":
        async with doing("top_up", f"account/{name}", _asked(amount, note, entry_id)):
            return await office.top_up(name, nanos, entry_id, note)

    _tell(act(config, database, work), nanos, as_json)


def correct(
    name: Name,
    amount: Annotated[str, typer.Argument(metavar="USD", help="Dollars, up (0.25) or down (-0.25).")],
    *,
    note: Annotated[str, typer.Option(help="Why; it stands in the ledger.")],
    entry_id: Id = None,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Correct an account's balance, up or down."""
    nanos = usd(amount, "USD")

    async def work(office: "Office", doing: "Acting") -> "Posting":
        async with doing("correct", f"account/{name}", _asked(amount, note, entry_id)):
            return await office.correct(name, nanos, entry_id, note)

    _tell(act(config, database, work), nanos, as_json)


def _asked(amount: str, note: str, entry_id: str | None) -> dict[str, str]:
    """What was asked for, in the words of the admin API."""
    asked = {"amount_usd": amount, "note": note, "idempotency_key": entry_id}
    return {word: value for word, value in asked.items() if value}


def history(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="How many entries.")] = 20,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Show the ledger's entries of an account, the newest first."""
    from headgate.admin.views import entry_view

    entries = ask(config, database, lambda office: office.entries(account_id=name, limit=limit))
    if as_json:
        print_json([entry_view(numbered) for numbered in entries])
    elif not entries:
        typer.echo(f"{name} has no entries yet.")
    else:
        rows = [
            [
                time_text(entry.at_ns),
                str(entry.kind),
                money(entry.posted_nanos),
                money(entry.held_nanos),
                entry.hold_id or entry.entry_id,
                entry.note,
            ]
            for _, entry in entries
        ]
        print_table(["at (UTC)", "kind", "balance", "held", "of", "note"], rows, ["balance", "held"])


def _tell(posting: "Posting", nanos: int, as_json: bool) -> None:
    from headgate.admin.views import posting_view

    if as_json:
        print_json(posting_view(posting))
        return
    account = posting.account
    if posting.repeated:
        typer.echo(f"{posting.entry_id} is in the books already: {money(nanos)}. Nothing was changed.")
    else:
        typer.echo(f"{money(nanos)} to {account.account_id}, as {posting.entry_id}.")
    typer.echo(f"Balance {money(account.posted_nanos)}, available {money(account.available_nanos)}.")
