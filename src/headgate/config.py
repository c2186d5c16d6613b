"""The only reader of files and environment: both become frozen, typed settings.

A wrong setting is told with the file, the key's path and what was expected, and never with a secret's value.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import msgspec

from headgate.addresses import host_and_port, is_loopback
from headgate.audit.redaction import expression
from headgate.dialects import registry as dialects
from headgate.errors import ConfigError
from headgate.pricing.book import PriceBook, check
from headgate.pricing.markup import Markups
from headgate.pricing.overrides import markups_from, overrides_from
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret, header_safe
from headgate.routing.aliases import Alias, aliases_of
from headgate.sections import (
    AccessSection,
    AdminSection,
    AuditSection,
    BodiesRule,
    File,
    HoldsSection,
    LimitsSection,
    LogSection,
    MetricsSection,
    ModelSection,
    PricesSection,
    ProviderSection,
    RetentionSection,
    TracingSection,
)
from headgate.tomltext import sections_of, shaped, table_of

_POSTGRES = ("postgres://", "postgresql://")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the program runs with."""

    host: str
    port: int
    database: Path
    """The SQLite file; with a `postgres` it is the folder's file beside which things are spilled."""
    deployments: tuple[Deployment, ...]
    allow_unprotected: bool = False
    fallback: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: tuple[Alias, ...] = ()
    limits: LimitsSection = LimitsSection()
    origins: frozenset[str] = frozenset()
    postgres: str | None = field(default=None, repr=False)
    """The PostgreSQL database in the place of the file: its address, which may hold a password."""
    access: AccessSection = field(default_factory=AccessSection, repr=False)
    admin_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    book: PriceBook | None = field(default=None, repr=False)
    """The prices that the gateway goes by; None for the packaged ones."""
    markups: Markups = field(default_factory=Markups)
    holds: HoldsSection = field(default_factory=HoldsSection)
    metrics: MetricsSection = field(default_factory=MetricsSection, repr=False)
    audit: AuditSection = field(default_factory=AuditSection)
    metrics_at: tuple[str, int] | None = None
    """Host and port of the metrics' own listener; None where they are on the gateway's port."""
    log: LogSection = field(default_factory=LogSection)
    retention: RetentionSection = field(default_factory=RetentionSection)
    tracing: TracingSection | None = field(default=None, repr=False)
    workers: int | None = None
    """How many processes serve, with one more that looks after them; None for one that serves, and no other."""


def load(path: Path | None, env: Mapping[str, str] | None = None, listen: str | None = None) -> Settings:
    """Settings from a file, or without one from the environment alone; `listen` overrides. Raises ConfigError.

    A file that names no provider leaves the environment's. Without a file HEADGATE_ADMIN_KEY is an admin key; a file
    has to name it.
    """
    env = os.environ if env is None else env
    file, source = (_unwritten(env), "the environment") if path is None else (_parse(path, env), str(path))
    if listen is not None:
        file, source = msgspec.structs.replace(file, listen=listen), "--listen"
    deployments = tuple(_deployment(name, section, file.limits, source) for name, section in file.providers.items())
    return _settings(file, deployments or tuple(registry.from_environment(env)), source)


def _unwritten(env: Mapping[str, str]) -> File:
    key = env.get("HEADGATE_ADMIN_KEY")
    return File(admin=AdminSection({"admin": key})) if key else File()


def default_database(env: Mapping[str, str] | None = None) -> Path:
    """Where records are kept unless told otherwise: the user's data folder, whatever the current directory is."""
    env = os.environ if env is None else env
    base = env.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "headgate" / "headgate.db"


def catalogue_data() -> bytes:
    """The packaged model catalogue, as JSON."""
    return resources.files("headgate.routing").joinpath("data/models.json").read_bytes()


def price_data() -> bytes:
    """The packaged price book, as JSON."""
    return resources.files("headgate.pricing").joinpath("data/prices.json").read_bytes()


def dashboard_files() -> Mapping[str, bytes]:
    """The packaged dashboard: its files by their paths, such as "index.html". Links are not followed."""
    root = Path(__file__).with_name("dashboard") / "static"
    paths = (Path(folder, name) for folder, _, names in os.walk(root) for name in names if not name.startswith("."))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if not path.is_symlink()}


def price_book(section: PricesSection, source: str, database: Path) -> PriceBook:
    """The book of the settings, or the one that `headgate prices update` left beside the database, or the packaged one.

    Raises ConfigError.
    """
    path = Path(section.book).expanduser() if section.book else database.with_name("prices.json")
    packaged = not section.book and not path.exists()
    try:
        data = price_data() if packaged else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{source}: `prices.book`: {path} cannot be read: {error.strerror}") from error
    with _told(f"{source}: `prices.book"):
        book = PriceBook.from_json(data)
        wrong = None if packaged else next(check(book), None)
        if wrong is not None:
            raise ValueError(f"{path}: {wrong}")
    with _told(f"{source}: `prices.override"):
        return book.with_overrides(overrides_from(section.override)) if section.override else book


def access_secret(settings: Settings) -> bytes:
    """What digests of virtual keys are made with: of the settings, or else kept in a file beside the SQLite file.

    The file is made, for its owner alone, the first time. Raises ConfigError if it cannot be, and for a PostgreSQL
    database without a secret: its processes may be on many machines, and have to agree on one.
    """
    if settings.access.secret is not None:
        return settings.access.secret.encode()
    if settings.postgres is not None:
        raise ConfigError("`access.secret`: expected one, the same for every gateway on this PostgreSQL database")
    path = settings.database.with_name("headgate.secret")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(path, "xb", opener=_private) as file:
            file.write(os.urandom(32).hex().encode())
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the secret of the virtual keys cannot be kept: {error.strerror}") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _settings(file: File, deployments: tuple[Deployment, ...], source: str) -> Settings:
    with _told(f"{source}: `listen"):
        host, port = host_and_port(file.listen)
    names = {deployment.name for deployment in deployments}
    if file.fallback is not None and file.fallback not in names:
        raise ConfigError(f"{source}: `fallback`: no provider is named '{file.fallback}'; {_known(names)}")
    if not (is_loopback(host) or file.keys or file.access.require_keys or file.allow_unprotected):
        raise ConfigError(
            f"{source}: `listen`: {host} can be reached from outside, and no gateway keys are set. Set `[keys]` or "
            "`access.require_keys`, listen on 127.0.0.1, or say `allow_unprotected = true` if something protects it."
        )
    _refuse_loops(deployments, host, port, source)
    secrets = {"access.secret": file.access.secret} if file.access.secret is not None else {}
    secrets |= {f"keys.{name}": secret for name, secret in file.keys.items()}
    secrets |= {f"admin.keys.{name}": secret for name, secret in file.admin.keys.items()}
    secrets |= {"metrics.key": file.metrics.key} if file.metrics.key is not None else {}
    short = [name for name, secret in secrets.items() if len(secret) < 16]
    if short:
        raise ConfigError(f"{source}: `{short[0]}`: expected at least 16 characters")
    postgres = file.database if file.database and file.database.startswith(_POSTGRES) else None
    database = Path(file.database).expanduser() if file.database and postgres is None else default_database()
    with _told(f"{source}: `models"):
        aliases = aliases_of(file.models, deployments)
    with _told(f"{source}: `prices"):
        markups = markups_from(file.prices.markup, file.prices.markups)
    return Settings(
        host=host,
        port=port,
        database=database,
        deployments=deployments,
        allow_unprotected=file.allow_unprotected,
        fallback=file.fallback,
        keys=file.keys,
        extra_models={name: section.models for name, section in file.providers.items() if section.models},
        aliases=aliases,
        limits=file.limits,
        origins=frozenset(file.origins),
        postgres=postgres,
        access=file.access,
        admin_keys=file.admin.keys,
        book=price_book(file.prices, source, database),
        markups=markups,
        holds=file.holds,
        metrics=file.metrics,
        audit=_audit(file.audit, source),
        metrics_at=_metrics_at(file, source),
        log=file.log,
        retention=file.retention,
        tracing=file.tracing,
        workers=file.workers,
    )


def _audit(section: AuditSection, source: str) -> AuditSection:
    """What is kept of bodies, if it is something. Raises ConfigError."""
    for number, rule in enumerate(section.bodies):
        if rule == BodiesRule():
            raise ConfigError(
                f'{source}: `audit.bodies[{number}]`: expected `keys`, `tags` or `routes`; routes = ["/"] is all of it'
            )
        for route in rule.routes:
            with _told(f"{source}: `audit.bodies[{number}].routes"):
                _check_route(route)
    for number, pattern in enumerate(section.redact):
        with _told(f"{source}: `audit.redact[{number}]"):
            expression(pattern)
    return section


def _check_route(route: str) -> None:
    """Raises ValueError for a route that nothing is on: what was to be kept would not be, and nobody would notice."""
    name, _, operation = route.partition("/")
    if not name and route:
        return
    dialect = dialects.by_name(name)
    if dialect.name != name:
        raise ValueError(f"expected its full name, {dialect.name}")
    known = [each.name for each in dialect.operations]
    if operation and operation not in known:
        raise ValueError(f"{name} has no operation {operation!r}; it has {', '.join(known)}")


def _metrics_at(file: File, source: str) -> tuple[str, int] | None:
    """The address of the metrics' own listener. Raises ConfigError for one that nobody could read."""
    metrics = file.metrics
    if metrics.listen is None or not metrics.enabled:
        return None
    with _told(f"{source}: `metrics.listen"):
        host, port = host_and_port(metrics.listen)
    if not (is_loopback(host) or metrics.key or file.admin.keys or metrics.open):
        raise ConfigError(
            f"{source}: `metrics.listen`: {host} can be reached from outside, and no key is set. Set `metrics.key`, "
            "listen on 127.0.0.1, or say `metrics.open = true` if something protects it."
        )
    return host, port


def _refuse_loops(deployments: tuple[Deployment, ...], host: str, port: int, source: str) -> None:
    """A shell that points its clients at headgate would point headgate at itself."""
    for deployment in deployments:
        origin = deployment.origin
        if port and origin.port == port and (origin.host == host or is_loopback(origin.host)):
            raise ConfigError(
                f"{source}: {deployment.name}'s address, {deployment.base_url}, is where headgate itself listens; "
                "a base URL set for clients may be set here too"
            )


def _deployment(name: str, section: ProviderSection, limits: LimitsSection, source: str) -> Deployment:
    where = f"{source}: `providers.{name}"
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}`: expected a name of lower-case letters, digits, '.', '_' and '-'")
    with _told(f"{where}.kind"):
        provider = registry.by_name(section.kind or name)
    with _told(f"{where}.base_url"):
        base_url = provider.root(section.base_url) if section.base_url else provider.address(section.options)
        if not base_url:
            raise ValueError(f"expected an address: {provider.name} has none of its own")
    with _told(f"{where}.api_key"):
        api_key = header_safe(section.api_key) if section.api_key else None
    if section.client_keys and (section.api_key or section.secrets):
        raise ConfigError(f"{where}.client_keys`: expected no key of ours beside it: whose key pays must be plain")
    secrets = _checked(section.secrets, provider.secrets, f"{where}.secrets")
    options = _checked(section.options, provider.known_options, f"{where}.options")
    if secrets and not secrets.keys() >= set(provider.needed_secrets):
        raise ConfigError(f"{where}.secrets`: expected {' and '.join(provider.needed_secrets)}")
    if secrets and provider.needed_secrets and not options.keys() >= provider.options.keys():
        raise ConfigError(f"{where}.options`: expected {' and '.join(provider.options)}")
    files = {secret: options[option] for secret, option in provider.secret_files.items() if option in options}
    deployment = Deployment(
        name=name,
        provider=provider,
        base_url=base_url,
        credential=Secret(api_key) if api_key else None,
        on_client_gone=section.on_client_gone or provider.on_client_gone,
        client_keys=section.client_keys,
        websocket=section.websocket,
        limits=limits.of_upstreams(section.limits),
        options=options,
        secrets={name: Secret(text) for name, text in secrets.items()} | _read_secrets(files, f"{where}.options"),
    )
    with _told(f"{where}.options"):  # read once here, so that a bad key stops the start and not a request
        if deployment.short_lived and section.client_keys:
            raise ValueError("expected no credential of ours beside client_keys: whose key pays must be plain")
    return deployment


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What is wrong with a value is told with its key's path."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{where}`: {error}") from None


def _read_secrets(files: Mapping[str, str], where: str) -> dict[str, Secret]:
    """The secrets that stand in files of their own."""
    try:
        return {name: Secret(Path(file).expanduser().read_text(encoding="utf-8")) for name, file in files.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}`: a file with a secret cannot be read: {error}") from error


def _checked(given: Mapping[str, str], known: Collection[str], where: str) -> Mapping[str, str]:
    """The further settings of a provider, if it knows them and they can stand in a URL or header."""
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{where}.{name}`: expected one of {', '.join(known) or 'none'}")
        try:
            header_safe(value)
        except ValueError as error:
            raise ConfigError(f"{where}.{name}`: {error}") from error
    return given


def _parse(path: Path, env: Mapping[str, str]) -> File:
    source = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: expected TOML: {error}") from error
    table = table_of(text, env, source)
    providers = sections_of(table, "providers", ProviderSection, source)
    models = sections_of(table, "models", ModelSection, source)
    return msgspec.structs.replace(shaped(table, File, source), providers=providers, models=models)


def _known(names: set[str]) -> str:
    return f"known are {', '.join(sorted(names))}" if names else "none is configured"
