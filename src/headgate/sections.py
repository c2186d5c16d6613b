"""What may stand in headgate.toml, as types. `config.py` reads it; whoever a section sets up takes it as it is."""

from math import inf
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from headgate.dialects.bound import DEFAULT_OUTPUT
from headgate.providers.base import OnClientGone, TimeLimits
from headgate.routing.aliases import Choose, Lack
from headgate.settlement import OnUpstreamFailure

Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 86_400)]
"""A time that something may take: up to a week, which is more than any timer here is meant for."""


Silence = Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)]
"""0 is off."""


class UpstreamLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[providers.NAME.limits]`: how long one provider may take, each in the place of the one in `[limits]`."""

    connect_seconds: Seconds | None = None
    first_byte_seconds: Seconds | None = None
    idle_seconds: Seconds | None = None
    total_seconds: Seconds | None = None
    keep_alive_seconds: Silence | None = None


class ProviderSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[providers.NAME]`: one deployment."""

    kind: str | None = None
    """The provider's name; the section's own name where it is left out."""
    base_url: str | None = None
    api_key: str | None = None
    options: dict[str, str] = {}
    """Further settings that the provider needs, e.g. `region`."""
    secrets: dict[str, str] = {}
    """What it may take in the place of a key, e.g. `access_key_id` and `secret_access_key`."""
    client_keys: bool = False
    """Clients bring their own keys for this provider, which go on to it; so it has no `api_key`."""
    on_client_gone: OnClientGone | None = None
    websocket: bool = True
    models: tuple[str, ...] = ()
    """Further model names that this deployment serves."""
    limits: UpstreamLimits = UpstreamLimits()


class TargetSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target of a model: a provider, and the name that it has the model under."""

    provider: str
    model: str | None = None
    """The section's own name where it is left out."""
    weight: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    context: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The context window, in tokens."""
    lacks: tuple[Lack, ...] = ()


class ModelSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[models.NAME]`: an alias, a model name of the operator's own."""

    targets: tuple[TargetSection, ...]
    fallbacks: tuple[str | TargetSection, ...] = ()
    """Names of other such sections, or targets: in this order, when the targets have failed."""
    choose: Choose = Choose.WEIGHTED
    sticky: bool = True
    attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3
    hold_back_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    max_wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=60)] = 2.0


class LimitsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits]`: seconds, and MiB."""

    connect_seconds: Seconds = 10.0
    first_byte_seconds: Seconds = 600.0
    idle_seconds: Seconds = 300.0
    total_seconds: Seconds = 3600.0
    """A provider's answer, from connecting to its last byte."""
    keep_alive_seconds: Silence = 0.0
    """A client is sent a keep-alive in its dialect after so long a silence in a stream; 0 for none."""
    stop_seconds: float = 30.0
    handover_seconds: Seconds = 600.0
    """For the streams of a worker whose place another one has taken."""
    drain_seconds: float = 60.0
    drain_mib: int = 64
    max_body_mib: int = 64
    client_head_seconds: Seconds = 30.0
    """A request's head, from its first byte to its last."""
    client_body_seconds: Seconds = 300.0
    """From there to the request's last byte."""
    client_idle_seconds: Seconds = 300.0
    """A client that takes nothing of what it is sent is left after so long."""

    def of_upstreams(self, own: UpstreamLimits | None = None) -> TimeLimits:
        """How long a provider may take that has these limits of its own."""
        theirs = {} if own is None else msgspec.structs.asdict(own)
        limits = msgspec.structs.replace(self, **{name: value for name, value in theirs.items() if value is not None})
        return TimeLimits(
            limits.connect_seconds,
            limits.first_byte_seconds,
            limits.idle_seconds,
            limits.total_seconds,
            limits.keep_alive_seconds or inf,
        )


class AccessSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[access]`: virtual keys."""

    secret: str | None = None
    """What digests of virtual keys are made with; all processes of one database need the same."""
    require_keys: bool = False
    """Nobody comes in without a key, even before the first one is made."""


class AdminSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[admin]`: who may use the admin API, each under a name."""

    keys: dict[str, str] = {}


class PricesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[prices]`: what is charged."""

    book: str | None = None
    """A price book of one's own, as `headgate prices update` writes it, in the place of the packaged one."""
    markup: str | int | None = None
    markups: dict[str, str | int] = {}
    override: dict[str, dict[str, Any]] = {}


class HoldsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[holds]`: what is set aside, and what becomes of it."""

    output_tokens: int = DEFAULT_OUTPUT
    """What a hold covers where neither the request nor the model says how much output there may be."""
    patience_seconds: float = 2.0
    lease_seconds: float = 10.0
    on_upstream_failure: OnUpstreamFailure = OnUpstreamFailure.DELIVERED
    trailers: Literal["asked", "always", "never"] = "asked"
    """To whom the cost of a stream is told in HTTP trailers."""


class MetricsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[metrics]`: what Prometheus reads."""

    enabled: bool = True
    listen: str | None = None
    """An address of its own, e.g. "127.0.0.1:9464"; without it they are at /metrics on the gateway's own port."""
    key: str | None = None
    """A bearer token that reads them; an admin key does so too."""
    open: bool = False
    """Whoever reaches them reads them, without a key."""


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard error."""

    format: Literal["pretty", "json"] = "pretty"
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Each exchange is a line of level info; of level warning, if it failed on the provider's side or on ours."""


class BodiesRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[audit.bodies]]`: whose bodies are kept. What is named has to fit, all of it; of each, one is enough."""

    keys: tuple[str, ...] = ()
    """Names or ids."""
    tags: tuple[str, ...] = ()
    """Of virtual keys, as they are at that moment."""
    routes: tuple[str, ...] = ()
    """A dialect, "openai.chat"; one of its operations, "openai.chat/create"; or the beginning of a path, "/v1/"."""


class AuditSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[audit]`: what is kept of bodies. Without a rule nothing is."""

    bodies: tuple[BodiesRule, ...] = ()
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=16 * 1024 * 1024)] = 64 * 1024
    """Of each body: its beginning is kept."""
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 30
    redact: tuple[str, ...] = ()
    """Regular expressions for what else is not to be kept; nor in the errors of providers that records quote."""


class RetentionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[retention]`: how long things are kept. Entries of the ledger, and what usage sums up to, are kept for good."""

    records_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None
    """Records of exchanges that began longer ago are removed; without it none is."""


class TracingSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[tracing]`: OpenTelemetry, with the extra `otel`."""

    endpoint: str
    """The collector's address for OTLP over HTTP, e.g. "http://127.0.0.1:4318"."""
    headers: dict[str, str] = {}
    """What is sent along, such as a key of the collector's."""
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """The share of the traces begun here that is kept, from 0 to 1; for others, who began them has decided."""
    semconv: Literal["latest", "1.36"] = "latest"
    """Whose names attributes have."""
    service_name: str = "headgate"
    metrics: bool = True
    """Metrics of the conventions go there too."""

    def __post_init__(self) -> None:
        """Raises ValueError for what could not be sent."""
        if not self.endpoint.startswith(("http://", "https://")) or not _has_host(self.endpoint):
            raise ValueError("`endpoint`: expected an address, such as http://127.0.0.1:4318")
        for name, value in self.headers.items():
            if not (name.isascii() and name.isprintable() and value.isascii() and value.isprintable()):
                raise ValueError(f"`headers.{name!a}`: expected visible ASCII characters")


def _has_host(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:  # its text may tell a password
        return False


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of headgate.toml."""

    listen: str = "127.0.0.1:8080"
    database: str | None = None
    allow_unprotected: bool = False
    fallback: str | None = None
    origins: tuple[str, ...] = ()
    """Of pages that may open WebSockets, e.g. "https://app.example"; "*" is any."""
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] | None = None
    """Processes that serve, with a supervisor; without it there is one process, and none looks after it."""
    keys: dict[str, str] = {}
    providers: dict[str, ProviderSection] = {}
    models: dict[str, ModelSection] = {}
    limits: LimitsSection = LimitsSection()
    access: AccessSection = AccessSection()
    admin: AdminSection = AdminSection()
    prices: PricesSection = PricesSection()
    holds: HoldsSection = HoldsSection()
    metrics: MetricsSection = MetricsSection()
    log: LogSection = LogSection()
    audit: AuditSection = AuditSection()
    retention: RetentionSection = RetentionSection()
    tracing: TracingSection | None = None
