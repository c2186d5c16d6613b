"""`headgate account`: who pays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.desk import AsJson, Config, Database, act, ask, money, print_fields, print_json, print_table, usd

if TYPE_CHECKING:
    from headgate.admin.books import Finding
    from headgate.admin.office import Office
    from headgate.cli.desk import Acting
    from headgate.ledger.entries import Account

Name = Annotated[str, typer.Argument(help="The account's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    account = typer.Typer(help="Accounts: open them, look at their balances, check the books.", no_args_is_help=True)
    account.command("open")(open_)
    account.command("list")(list_)
    account.command()(show)
    account.command()(close)
    account.command()(check)
    app.add_typer(account, name="account")


def open_(
    name: Name,
    *,
    prepaid: Annotated[
        bool | None,
        typer.Option("--prepaid/--postpaid", help="It spends what was paid in; or it spends first, and is invoiced."),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(metavar="USD", help="How far a postpaid one may go below zero; else without bound."),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Open an account: prepaid, unless told otherwise. One that is there is changed, or reopened if it was closed."""
    from headgate.admin.views import account_view
    from headgate.ledger.entries import AccountKind

    kind = None if prepaid is None else AccountKind.PREPAID if prepaid else AccountKind.POSTPAID
    limit_nanos = None if limit is None else usd(limit, "limit")
    asked = {"kind": None if kind is None else str(kind), "limit_usd": limit}

    async def work(office: "Office", doing: "Acting") -> "tuple[Account, bool]":
        async with doing("put_account", f"account/{name}", {word: value for word, value in asked.items() if value}):
            return await office.open_account(name, kind, limit_nanos)

    account, new = act(config, database, work)
    if as_json:
        print_json(account_view(account))
        return
    typer.echo(f"{'Opened' if new else 'The account is there:'} {name}, {_kind(account)}.")
    if new and account.kind is AccountKind.PREPAID:
        typer.echo(f"Next: headgate credit add {name} 10, then headgate key create KEY_NAME --account {name}")


def list_(as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """List all accounts with their balances."""
    from headgate.admin.views import account_view

    accounts = ask(config, database, lambda office: office.accounts())
    if as_json:
        print_json([account_view(account) for account in accounts])
    elif not accounts:
        typer.echo("There are no accounts yet. Open one: headgate account open NAME")
    else:
        titles = ["account", "kind", "available", "held", "balance"]
        rows = [
            [
                account.account_id,
                _kind(account),
                money(account.available_nanos),
                money(account.held_nanos),
                money(account.posted_nanos),
            ]
            for account in accounts
        ]
        print_table(titles, rows, titles[2:])


def show(name: Name, as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """Show an account as it stands."""
    from headgate.admin.views import account_view

    account = ask(config, database, lambda office: office.account(name))
    if as_json:
        print_json(account_view(account))
        return
    print_fields(
        [
            ("account", account.account_id),
            ("kind", _kind(account)),
            ("available", money(account.available_nanos)),
            ("held", money(account.held_nanos)),
            ("balance", money(account.posted_nanos)),
        ]
    )


def close(name: Name, as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """Close an account: it pays for nothing new. What runs is settled, and its balance stays."""
    from headgate.admin.views import account_view

    async def work(office: "Office", doing: "Acting") -> "Account":
        async with doing("close_account", f"account/{name}", {}):
            return await office.close_account(name)

    account = act(config, database, work)
    if as_json:
        print_json(account_view(account))
    else:
        typer.echo(f"Closed {name}. Its balance is {money(account.posted_nanos)}.")


def check(as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """Check the books: entries and open holds add up to the balances, for every account. Ends with 1 if they do not."""
    from headgate.admin.books import Verdict
    from headgate.admin.views import finding_view
    from headgate.cli.progress import waiting

    async def added_up(office: "Office") -> "Sequence[Finding]":
        with waiting("Adding up the entries"):
            return await office.check(every=True)

    findings = ask(config, database, added_up)
    odd = [finding for finding in findings if finding.verdict is not Verdict.RIGHT]
    if as_json:
        print_json([finding_view(finding) for finding in findings])
    elif not odd:
        typer.echo(f"The books are right, of all {len(findings)}.")
    else:
        titles = ["account", "verdict", "balance", "entries", "held", "entries held", "open holds"]
        rows = [
            [
                finding.account_id,
                str(finding.verdict),
                money(finding.balances.posted_nanos),
                money(finding.entries.posted_nanos),
                money(finding.balances.held_nanos),
                money(finding.entries.held_nanos),
                money(finding.open_holds_nanos),
            ]
            for finding in odd
        ]
        print_table(titles, rows, titles[2:])
    if any(finding.verdict is Verdict.WRONG for finding in odd):
        raise typer.Exit(1)


def _kind(account: "Account") -> str:
    limit = "" if account.limit_nanos is None else f" to {money(-account.limit_nanos)}"
    return f"{account.kind}{limit}{', closed' if account.closed else ''}"
