"""`headgate budget`: how much a key, an account or a tag may spend in a day, week, month or ever."""

from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.desk import AsJson, Config, Database, act, ask, money, parse_budget, print_budgets, print_json
from headgate.errors import BadRequest

if TYPE_CHECKING:
    from headgate.access.budgets import Scope
    from headgate.access.virtual import VirtualKey
    from headgate.admin.office import Office, Standing
    from headgate.cli.desk import Acting

Key = Annotated[str | None, typer.Option(help="Of this key, by name or id.")]
Account = Annotated[str | None, typer.Option(help="Of this account.")]
Tag = Annotated[str | None, typer.Option(help="Of all keys with this tag, together.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    budget = typer.Typer(help="Budgets: how much a key, an account or a tag may spend in a time.", no_args_is_help=True)
    budget.command("set")(set_)
    budget.command()(remove)
    budget.command("list")(list_)
    app.add_typer(budget, name="budget")


def set_(
    limit: Annotated[str, typer.Argument(metavar="USD/WINDOW", help="50/month; windows: day, week, month, total.")],
    *,
    key: Key = None,
    account: Account = None,
    tag: Tag = None,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Set a budget, in place of the one there was for that window. What was spent in the window stays spent."""
    from headgate.admin.texts import usd_from_nanos
    from headgate.admin.views import budget_view

    nanos, window = parse_budget(limit)

    async def work(office: "Office", doing: "Acting") -> "Standing":
        scope, subject = await _whose(office, key, account, tag)
        async with doing("put_budget", f"budget/{scope}/{subject}/{window}", {"limit_usd": usd_from_nanos(nanos)}):
            return await office.put_budget(scope, subject, window, nanos)

    standing = act(config, database, work)
    if as_json:
        print_json(budget_view(standing))
        return
    budget = standing.budget
    typer.echo(
        f"{key or account or tag} may spend {money(nanos)} ({window}); {money(standing.used_nanos)} is used "
        f"and {money(standing.held_nanos)} held of the {budget.scope}'s budget now."
    )


def remove(
    window: Annotated[str, typer.Argument(metavar="WINDOW", help="day, week, month or total.")],
    *,
    key: Key = None,
    account: Account = None,
    tag: Tag = None,
    config: Config = None,
    database: Database = None,
) -> None:
    """Remove a budget."""
    from headgate.access.budgets import Window

    windows = [str(known) for known in Window]
    if window not in windows:
        raise BadRequest(f"expected one of {', '.join(windows)}, not '{window}'.")

    async def work(office: "Office", doing: "Acting") -> None:
        scope, subject = await _whose(office, key, account, tag)
        async with doing("remove_budget", f"budget/{scope}/{subject}/{window}", {}):
            await office.remove_budget(scope, subject, Window(window))

    act(config, database, work)
    typer.echo(f"Removed the budget of {key or account or tag} ({window}).")


def list_(as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """List all budgets, and how full they are now."""
    from headgate.admin.views import budget_view

    async def work(office: "Office") -> "tuple[list[Standing], list[VirtualKey]]":
        return await office.budgets(), await office.keys()

    standings, keys = ask(config, database, work)
    names = {key.key_id: key.name for key in keys}

    def name_of(scope: "Scope", subject: str) -> str:
        return names.get(subject, subject) if scope == "key" else subject

    if as_json:
        print_json([budget_view(standing) for standing in standings])
    elif not standings:
        typer.echo("There are no budgets yet. Set one: headgate budget set 50/month --key NAME")
    else:
        print_budgets(standings, name_of)


async def _whose(office: "Office", key: str | None, account: str | None, tag: str | None) -> "tuple[Scope, str]":
    from headgate.access.budgets import Scope

    if sum(given is not None for given in (key, account, tag)) != 1:
        raise BadRequest("expected one of --key, --account and --tag.")
    if key is not None:
        return Scope.KEY, (await office.find_key(key)).key_id
    if account is not None:
        return Scope.ACCOUNT, account
    return Scope.TAG, tag or ""
