"""`headgate key`: virtual keys, each with an account behind it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.desk import (
    AsJson,
    Config,
    Database,
    act,
    ask,
    parse_budget,
    parse_until,
    print_budgets,
    print_fields,
    print_json,
    print_table,
    time_text,
)

if TYPE_CHECKING:
    from headgate.access.budgets import Scope, Window
    from headgate.access.virtual import VirtualKey
    from headgate.admin.office import Office, Standing
    from headgate.admin.terms import KeyTerms
    from headgate.cli.desk import Acting

Ref = Annotated[str, typer.Argument(metavar="KEY", help="The key's name or id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    key = typer.Typer(help="Virtual keys: hand them out, look at them, revoke them.", no_args_is_help=True)
    key.command()(create)
    key.command("list")(list_)
    key.command()(show)
    key.command()(revoke)
    app.add_typer(key, name="key")


def create(
    name: Annotated[str, typer.Argument(help="What records call it.")],
    *,
    account: Annotated[str, typer.Option(help="Who pays.")],
    owner: Annotated[str, typer.Option(help="Who has it.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag, for budgets; may be given again.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Models it may use, e.g. 'gpt-*'; else all of them.")
    ] = None,
    provider: Annotated[
        list[str] | None, typer.Option(help="Providers it may use, by their names in the config; else all of them.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="After 30d, 12h or 90m, or on 2027-01-31 (UTC).")] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests a minute.")] = None,
    rpd: Annotated[int | None, typer.Option(min=1, help="Requests a day.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens a minute, input and output together.")] = None,
    tpd: Annotated[int | None, typer.Option(min=1, help="Tokens a day.")] = None,
    concurrent: Annotated[int | None, typer.Option(min=1, help="Requests at the same time.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(metavar="USD/WINDOW", help="50/month; windows: day, week, month, total.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the key and nothing else.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Make a key. It is printed once, on a line of its own, and cannot be shown again: only a digest is kept."""
    import time

    from headgate.access.limits import Limits
    from headgate.admin.terms import KeyTerms
    from headgate.admin.views import created_key

    terms = KeyTerms(
        name=name,
        account_id=account,
        owner=owner,
        tags=tuple(tag or ()),
        models=tuple(model or ()),
        providers=tuple(provider or ()),
        expires_at_ns=None if expires is None else parse_until(expires, time.time_ns()),
        limits=Limits(rpm, rpd, tpm, tpd, concurrent),
    )
    budgets = [parse_budget(text) for text in budget or ()]

    asked = _asked(terms, expires)
    key, text = act(config, database, lambda office, doing: _make(office, doing, terms, asked, budgets))
    if as_json:
        print_json(created_key(key, text, time.time_ns()))
        return
    if not quiet:
        typer.echo(f"Made the key '{name}' ({key.key_id}), for which {account} pays. It is shown only now:", err=True)
    typer.echo(text)


def list_(
    account: Annotated[str | None, typer.Option(help="Only keys that this account pays for.")] = None,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """List all keys, the newest first."""
    import time

    from headgate.admin.views import key_view

    keys = ask(config, database, lambda office: office.keys(account))
    now_ns = time.time_ns()
    if as_json:
        print_json([key_view(key, now_ns) for key in keys])
    elif not keys:
        typer.echo("There are no keys yet. Make one: headgate key create NAME --account ACCOUNT")
    else:
        rows = [
            [key.name, key.key_id, key.hint + "...", key.account_id, key.owner, _state(key, now_ns)] for key in keys
        ]
        print_table(["name", "id", "key", "account", "owner", "state"], rows)


def show(key: Ref, as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """Show a key, what it may do, and how full its budgets are."""
    import time

    from headgate.admin.views import budget_view, key_view

    async def work(office: "Office") -> "tuple[VirtualKey, list[Standing]]":
        found = await office.find_key(key)
        return found, await office.budgets_of(found)

    found, standings = ask(config, database, work)
    now_ns = time.time_ns()
    if as_json:
        print_json({"key": key_view(found, now_ns), "budgets": [budget_view(standing) for standing in standings]})
        return
    print_fields(
        [
            ("name", found.name),
            ("id", found.key_id),
            ("key", f"{found.hint}..."),
            ("state", _state(found, now_ns)),
            ("account", found.account_id),
            ("owner", found.owner),
            ("tags", ", ".join(found.tags)),
            ("models", ", ".join(found.models) or "all"),
            ("providers", ", ".join(found.providers) or "all"),
            ("limits", _limits(found)),
            ("created", time_text(found.created_at_ns)),
            ("expires", time_text(found.expires_at_ns)),
        ]
    )
    if standings:
        typer.echo("")

        def name_of(scope: "Scope", subject: str) -> str:
            return found.name if scope == "key" else subject

        print_budgets(standings, name_of)


def revoke(key: Ref, as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """Make a key good for nothing, at once and for good, in every gateway on this database."""
    import time

    from headgate.admin.views import key_view

    async def work(office: "Office", doing: "Acting") -> "VirtualKey":
        async with doing("revoke_key", f"key/{key}", {}) as deed:
            found = await office.find_key(key)
            deed.subject = f"key/{found.key_id}"
            return await office.revoke_key(found.key_id)

    revoked = act(config, database, work)
    if as_json:
        print_json(key_view(revoked, time.time_ns()))
    else:
        typer.echo(f"Revoked '{revoked.name}' ({revoked.key_id}) at {time_text(revoked.revoked_at_ns)} UTC.")


async def _make(
    office: "Office", doing: "Acting", terms: "KeyTerms", asked: dict[str, Any], budgets: "list[tuple[int, Window]]"
) -> "tuple[VirtualKey, str]":
    """A key and its text, and its budgets: a deed each."""
    from headgate.access.budgets import Scope
    from headgate.admin.texts import usd_from_nanos

    async with doing("create_key", "key", asked) as made:
        key, text = await office.create_key(terms)
        made.subject = f"key/{key.key_id}"
    for nanos, window in budgets:
        async with doing("put_budget", f"budget/key/{key.key_id}/{window}", {"limit_usd": usd_from_nanos(nanos)}):
            await office.put_budget(Scope.KEY, key.key_id, window, nanos)
    return key, text


def _asked(terms: "KeyTerms", expires: str | None) -> dict[str, Any]:
    """What was asked for, in the words of the admin API; what was left out is left out."""
    limits = {name: getattr(terms.limits, name) for name in terms.limits.__struct_fields__}
    asked = {
        "name": terms.name,
        "account": terms.account_id,
        "owner": terms.owner,
        "tags": list(terms.tags),
        "models": list(terms.models),
        "providers": list(terms.providers),
        "expires": expires,
        "limits": {name: value for name, value in limits.items() if value is not None},
    }
    return {word: value for word, value in asked.items() if value}


def _state(key: "VirtualKey", now_ns: int) -> str:
    from headgate.admin.terms import is_good

    if key.revoked_at_ns is not None:
        return f"revoked {time_text(key.revoked_at_ns)}"
    return "good" if is_good(key, now_ns) else f"expired {time_text(key.expires_at_ns)}"


def _limits(key: "VirtualKey") -> str:
    named = ((field, getattr(key.limits, field)) for field in type(key.limits).__struct_fields__)
    return ", ".join(f"{value:,} {field.replace('_', ' ')}" for field, value in named if value is not None)
