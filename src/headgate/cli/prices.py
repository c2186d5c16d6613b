"""`headgate prices`: the price book, to look at, to check and to bring up to date."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.errors import ConfigError

if TYPE_CHECKING:
    from headgate.pricing.book import PriceBook
    from headgate.pricing.dated import Model
    from headgate.pricing.price import Price

PUBLISHED = "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
"""Where genai-prices publishes its data, as its own `update_prices.py` has it."""

_LARGEST = 64 * 1024 * 1024
_TIMEOUT_SECONDS = 30
_MOST_LINES = 20
"""Changes that are listed one by one."""

Book = Annotated[Path | None, typer.Option("--book", help="The price book, if not in the default place.")]
Config = Annotated[Path | None, typer.Option(help="The headgate.toml beside whose database the book is.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    prices = typer.Typer(help="Look at the prices, check them, bring them up to date.", no_args_is_help=True)
    prices.command()(show)
    prices.command()(check)
    prices.command()(update)
    prices.command("import")(import_)
    app.add_typer(prices, name="prices")


def show(
    model: Annotated[str, typer.Argument(help="A model's name, as a provider spells it.")],
    provider: Annotated[str | None, typer.Option(help="Only this provider's price.")] = None,
    at: Annotated[str | None, typer.Option(help="The price on that day (2026-11-01) or at that time, in UTC.")] = None,
    book: Book = None,
    config: Config = None,
) -> None:
    """Show what a model costs, with every provider that sells it."""
    import time

    opened = open_book(book_path(book, config))
    at_ns = moment(at) if at is not None else time.time_ns()
    sellers = [provider] if provider is not None else list(opened.content["providers"])
    found = [(seller, price) for seller in sellers if (price := opened.find(seller, model, at_ns)) is not None]
    if provider is None:
        # One that only falls back to another's price is shown when it is asked for.
        found = [(seller, price) for seller, price in found if price.provider == seller] or found
    if not found:
        seller = f" of {provider}" if provider is not None else ""
        raise ConfigError(f"no price for {model}{seller}; its use would be recorded as unpriced{_near(opened, model)}")
    for seller, price in found:
        known = opened.model(seller, model)
        if known is not None:
            _print_price(seller, known, price)
    print(f"Prices of {_source_text(opened)}, version {opened.version}.")


def check(
    file: Annotated[Path | None, typer.Argument(help="A price book; the one in use if left out.")] = None,
    config: Config = None,
) -> None:
    """Check a price book: its form, rates that cannot be right, what is in it and how old it is."""
    opened = open_book(file if file is not None else book_path(None, config))
    told = problems(opened)
    print(f"{_source_text(opened)}, version {opened.version}")
    models = list(opened.models())
    print(
        f"{len(opened.content['providers'])} providers, {len(models)} models, {_unpriced(models)} of them without rates"
    )
    if newest := max((start for known in models for start in known.dates), default=None):
        print(f"newest dated price: {newest}")
    if told:
        raise ConfigError(_listing(f"{len(told)} problems", told))
    print("No problems found.")


def update(
    url: Annotated[str, typer.Option(help="Where genai-prices' data.json is.")] = PUBLISHED,
    book: Book = None,
    config: Config = None,
) -> None:
    """Download genai-prices' published prices and use them from now on."""
    from headgate.cli.progress import waiting
    from headgate.pricing import genai

    with waiting(f"Downloading {url}"):
        content = parse(download(url), url)
    if not genai.is_genai(content):
        raise ConfigError(f"{url} does not hold genai-prices' data")
    source = {"name": "genai-prices", "url": url, "fetched": datetime.now(UTC).date().isoformat()}
    _replace(book_path(book, config), _compiled(content, source))


def import_(
    file: Annotated[Path, typer.Argument(help="genai-prices' data.json, or LiteLLM's model_prices JSON.")],
    book: Book = None,
    config: Config = None,
) -> None:
    """Take prices from a file. LiteLLM's are added to the book's own, which stay as they are."""
    from headgate.pricing import genai, litellm
    from headgate.pricing.merging import merged_under

    path = book_path(book, config)
    content = parse(_read(file), str(file))
    source = {"name": file.name, "fetched": datetime.now(UTC).date().isoformat()}
    if genai.is_genai(content):
        _replace(path, _compiled(content, {**source, "name": "genai-prices"}))
    elif litellm.is_litellm(content):
        more, unknown = litellm.book_from(content, source)
        _warn("left out, as they have costs of unknown kinds", unknown)
        _replace(path, merged_under(open_book(path).content, more))
    else:
        raise ConfigError(f"{file} holds neither genai-prices' nor LiteLLM's prices")


def book_path(book: Path | None, config: Path | None) -> Path:
    """Where the operator's price book is: beside the database."""
    from headgate.config import default_database, load

    return book or (load(config).database if config else default_database()).parent / "prices.json"


def open_book(path: Path) -> "PriceBook":
    """The operator's price book or, where there is none, the packaged one. Raises ConfigError."""
    from headgate.config import price_data
    from headgate.pricing.book import PriceBook

    data = _read(path) if path.exists() else price_data()
    try:
        return PriceBook.from_json(data)
    except ValueError as error:
        raise ConfigError(f"{path} is no price book: {error}") from error


def moment(text: str) -> int:
    """The nanoseconds since the Unix epoch of a day or time such as 2026-11-01. Raises typer.BadParameter."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected a day such as 2026-11-01, not '{text}'", param_hint="--at") from error
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()) * 1_000_000_000


def parse(data: bytes, name: str) -> Any:
    """JSON with exact decimals. Raises ConfigError."""
    try:
        return json.loads(data, parse_float=Decimal)
    except ValueError as error:
        raise ConfigError(f"{name} is not JSON: {error}") from error


def download(url: str) -> bytes:
    """What is at an address. Raises ConfigError."""
    import urllib.error
    import urllib.request

    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"expected an https address, not {url}")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the scheme is checked
            data: bytes = answer.read(_LARGEST + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise ConfigError(f"cannot download {url}: status {error.code}") from error
    except OSError as error:
        raise ConfigError(f"cannot download {url}: {getattr(error, 'reason', error)}") from error
    if len(data) > _LARGEST:
        raise ConfigError(f"{url} is larger than {_LARGEST} bytes")
    return data


def problems(book: "PriceBook") -> list[str]:
    """All that is wrong in a book, and rates that cannot be right."""
    from headgate.pricing.book import check as check_book
    from headgate.pricing.dated import rates_of
    from headgate.pricing.sane import oddities

    told = list(check_book(book))
    if told:
        return told
    for model in book.models():
        for priced in (*model.entry["prices"], *model.entry.get("variants", ())):
            told += [f"{model.provider}/{model.id}: {oddity}" for oddity in oddities(rates_of(priced["rates"]))]
    return told


def write(path: Path, data: bytes) -> None:
    """Put a whole file in the place of the old one, or leave that as it is. Raises ConfigError."""
    from headgate.cli.files import in_place_of

    with in_place_of(path) as file:
        file.write(data)


def _compiled(content: Any, source: Mapping[str, str]) -> dict[str, Any]:
    from headgate.pricing import genai

    try:
        compiled, unknown = genai.book_from(content, source)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    _warn("left out", unknown)
    return compiled


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    """Check the new book, tell what changes, and write it. What was imported before stays under it."""
    from headgate.cli.progress import waiting
    from headgate.pricing.book import PriceBook, as_bytes
    from headgate.pricing.litellm import ORIGIN
    from headgate.pricing.merging import changes, merged_under, only_of

    old = open_book(path)
    new = PriceBook.from_json(merged_under(content, only_of(old.content, ORIGIN)))
    with waiting("Checking the new prices"):
        told = problems(new)
    if told:
        raise ConfigError(_listing(f"nothing was written: {len(told)} problems in the new prices", told))
    found = list(changes(old.content, new.content))
    counts = Counter(change.what for change in found)
    print(
        ", ".join(f"{counts[what]} {what}" for what in ("new", "changed", "gone"))
        + f" of {len(list(new.models()))} models"
    )
    for change in found[:_MOST_LINES]:
        print(f"  {change.what:8}{change.provider}/{change.model}")
    if len(found) > _MOST_LINES:
        print(f"  and {len(found) - _MOST_LINES} more")
    write(path, as_bytes(new.content))
    print(f"Wrote {path}, version {new.version}. A running gateway takes it when it starts again.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _warn(what: str, lines: Sequence[str]) -> None:
    if lines:
        typer.echo(_listing(f"{len(lines)} {what}", lines), err=True)


def _listing(head: str, lines: Sequence[str]) -> str:
    rest = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return "\n  ".join((f"{head}:", *lines[:_MOST_LINES], *rest))


def _source_text(book: "PriceBook") -> str:
    source = book.content.get("source") or {}
    fetched = f", fetched {source['fetched']}" if "fetched" in source else ""
    return " ".join(str(source[key]) for key in ("name", "version") if key in source) + fetched or "an unnamed source"


def _unpriced(models: "Sequence[Model]") -> int:
    return sum(not any(priced["rates"] for priced in model.entry["prices"]) for model in models)


def _near(book: "PriceBook", model: str) -> str:
    from difflib import get_close_matches

    names = {name for known in book.models() for name in known.names}
    near = get_close_matches(model.lower(), names, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _print_price(seller: str, model: "Model", price: "Price") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    origin = "" if price.provider == seller else f", at the price of {price.provider}"
    window = f", {price.context_window:,} tokens of context" if price.context_window else ""
    console.print(f"{seller}/{price.model}", style="bold", end="")
    console.print(f" ({price.source}{origin}{window})", highlight=False)
    table = Table("terms", "unit", "rate", "above input tokens", box=None, pad_edge=False, header_style="dim")
    for terms, rates in (("standard", price.rates), *((_terms_text(v.when), v.rates) for v in price.variants)):
        for unit, steps in rates.items():
            table.add_row(terms, unit, str(steps.base), "")
            for start, rate in steps.above:
                table.add_row(terms, unit, str(rate), f"{start:,}")
    for multiple in price.multiples:
        table.add_row(_terms_text(multiple.when), "all tokens", f"x {multiple.by}", "")
    console.print(table)
    if model.dates:
        console.print(f"Rates change on {', '.join(model.dates)}; --at shows them.", style="dim", highlight=False)
    console.print()


def _terms_text(terms: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in terms.items())
