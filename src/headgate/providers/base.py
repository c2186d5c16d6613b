"""What a provider file declares, and what an instance of one is."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property, lru_cache
from math import inf
from typing import Protocol
from urllib.parse import SplitResult, parse_qsl, urlsplit

from msgspec import Struct

_VERSION = "/v1"
"""The version path of nearly every API, added to an address that names no path."""

_VISIBLE = re.compile(r"[!-~]+")


class Auth(Enum):
    """How a provider wants its credential."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    NONE = "none"


class StreamUsage(Enum):
    """Whether a chat stream carries usage, and what has to be done for it (facts/wire.md section 8)."""

    ON_REQUEST = "on_request"
    """Only when `stream_options.include_usage` asks for it, so headgate asks."""
    UNASKED = "unasked"
    """Always; the option is not needed, so it is not sent."""


class OnClientGone(Enum):
    """What is done with an upstream whose client left (architecture, decision 7)."""

    CUT = "cut"
    """Close it: what was reported so far counts, the rest is estimated."""
    DRAIN = "drain"
    """Read on within bounds for the provider's own figure."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. Each is its own clock: connecting, waiting for the head, silence between chunks, and all of it.

    They are an attempt's: another one has its own.
    """

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 300.0
    total: float = 3600.0
    """From the beginning, connecting included, to the last byte of the answer; inf where nothing bounds it."""
    keep_alive: float = inf
    """Not a limit: of silence, after which the client is sent a keep-alive; inf where none is."""


class Secret:
    """A credential that does not print itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


Signer = Callable[[bytes, Secret], bytes]
"""RS256: the signature of a text under a private key in PEM."""


class Grant(Protocol):
    """A way to get a short-lived token."""

    @property
    def token_url(self) -> str:
        """Where to ask."""

    def form(self, now: int, sign: Signer) -> bytes:
        """What to ask, as application/x-www-form-urlencoded; `now` in seconds since the Unix epoch."""


ACCESS_TOKEN = "access_token"  # noqa: S105  (the name of a secret)
"""The name under which a deployment holds a token that a Grant got."""


class Origin(Struct, frozen=True):
    """Where connections go, and so what they can be pooled by."""

    tls: bool
    host: str
    port: int


class Outbound(Struct, frozen=True):
    """A request as it will go out, but for the credential: all that a signature covers."""

    method: bytes
    host: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    at_ns: int
    """The wall clock, in nanoseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A company or service that sells inference, as data."""

    name: str
    title: str
    base_url: str
    """The API's version root, e.g. https://api.groq.com/openai/v1: a dialect's paths hang below it. Empty where only
    the operator can know it."""
    dialects: tuple[str, ...]
    """Names of the dialects it speaks."""
    sockets: tuple[str, ...] = ()
    """Those of them that it speaks over WebSocket too."""
    auth: Auth = Auth.BEARER
    api_key_env: str | None = None
    other_key_env: str | None = None
    """A second variable that its own SDK reads the key from, for want of the first."""
    base_url_env: str | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Further settings it needs, each with the environment variables it is read from, the first one first. An option
    stands as `{name}` in the base URL."""
    secrets: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The secrets that may stand in the place of a key, each with its environment variable."""
    needed_secrets: tuple[str, ...] = ()
    """Those of `secrets` that do so together; the others are optional."""
    secret_files: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Secrets that are read from a file, each with the option that names it."""
    home: Callable[[str], str | None] | None = None
    """The base URL that a path is served at, for those whose paths name a region with a host of its own; None from it
    where the path names none. Only an operator who gave no base URL has paths led there."""
    handshake: "Callable[[Deployment, Outbound], Sequence[tuple[bytes, bytes]]] | None" = None
    """Makes the headers of a credential that depends on the request; None where `auth` says it all."""
    grant: "Callable[[Deployment], Grant | None] | None" = None
    """How a deployment gets a short-lived token, if its settings say so."""
    profile_option: str | None = None
    """The option that names a profile of AWS's credential chain, which then gives the secrets."""
    model_patterns: tuple[str, ...] = ()
    """Patterns of model names that are this provider's own, in lower case. `*` is any text without a slash, `[a-z]` one
    character of a class, and everything else stands for itself."""
    stream_usage: StreamUsage = StreamUsage.ON_REQUEST
    usage_since: str = ""
    """The first `api-version` of a query that takes the option; a request without one is of an API that does."""
    on_client_gone: OnClientGone = OnClientGone.CUT
    roots: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By dialect, the paths that stand in the place of the base URL's own, for the dialects that hang elsewhere."""
    sdk_path: str = ""
    """What the provider's own SDK adds to a base URL before a dialect's path: operators leave it off then."""
    self_hosted: bool = False
    """Operators run it, or only they know it: a base URL alone configures it, a key is optional, and it serves
    whatever was loaded into it, so that its model names cannot be known."""

    @property
    def path(self) -> str:
        """The path of its version root, e.g. "/openai/v1"."""
        return urlsplit(self.base_url).path if self.base_url else _VERSION

    @property
    def known_options(self) -> tuple[str, ...]:
        """All options that a config may set."""
        profile = () if self.profile_option is None else (self.profile_option,)
        return (*self.options, *self.secret_files.values(), *profile)

    def recognises(self, model: str) -> bool:
        """True if the model's name is this provider's own by its patterns, in any case."""
        return _any_of(self.model_patterns).fullmatch(model.lower()) is not None

    def address(self, options: Mapping[str, str]) -> str:
        """Its own base URL, with the options in it. Raises ValueError naming the option that is missing."""
        missing = [option for option in self.options if f"{{{option}}}" in self.base_url and not options.get(option)]
        if missing:
            raise ValueError(f"expected the option '{missing[0]}', or a base URL of your own")
        return self.base_url.format_map(options)

    def root(self, base_url: str) -> str:
        """A base URL as operators write it for this provider, made its version root.

        An address without a path gets the provider's own. SDKs disagree on whether a base URL ends in the version
        (OpenAI's does, Anthropic's does not), so `sdk_path` is added to one that does not. Raises ValueError on
        anything but an http or https URL with a host and with nothing that would be lost.
        """
        url = _checked(base_url)
        path = url.path.rstrip("/")
        if not path:
            path = self.path
        elif not path.endswith(_VERSION):
            path += self.sdk_path
        return f"{url.scheme}://{url.netloc}{path}"


@dataclass(frozen=True)
class Deployment:
    """A provider under a name of the operator's choice, at an address, with a credential."""

    name: str
    provider: Provider
    base_url: str
    credential: Secret | None = None
    on_client_gone: OnClientGone = OnClientGone.CUT
    client_keys: bool = False
    """It is called with the client's own credential, and with none of ours."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    secrets: Mapping[str, Secret] = field(default_factory=dict, hash=False)
    websocket: bool = True
    """Upgrades go on to it, for the dialects that its provider speaks over WebSocket."""
    limits: TimeLimits | None = None
    """How long it may take; None where the gateway's own limits hold."""

    def speaks_socket(self, dialect: str) -> bool:
        """Whether that dialect is spoken with it over WebSocket."""
        return self.websocket and dialect in self.provider.sockets

    def speaks(self, dialect: str) -> bool:
        """Whether requests of that dialect can be sent to it."""
        return dialect in self.provider.dialects

    def at(self, path: str) -> "Deployment":
        """The deployment at the address where this path is served: itself, but for another base URL."""
        home = self.provider.home
        url = home(path) if home is not None and self.base_url == self.provider.base_url else None
        return self if url is None else replace(self, base_url=url)

    @cached_property
    def grant(self) -> Grant | None:
        """How it gets the token that it is called with; None where it needs none."""
        return self.provider.grant(self) if self.provider.grant is not None else None

    @property
    def profile(self) -> str | None:
        """The profile of AWS's credential chain that it is called with."""
        return self.options.get(self.provider.profile_option) if self.provider.profile_option is not None else None

    @cached_property
    def short_lived(self) -> bool:
        """Whether its credentials have to be made fresh before it is called."""
        return self.grant is not None or self.profile is not None

    @cached_property
    def origin(self) -> Origin:
        """Scheme, host and port of the base URL."""
        url = urlsplit(self.base_url)
        tls = url.scheme == "https"
        return Origin(tls=tls, host=url.hostname or "", port=url.port or (443 if tls else 80))

    @cached_property
    def host_header(self) -> bytes:
        """The Host header: the base URL's authority, without a password that someone put there."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2].encode("ascii")

    @cached_property
    def _split_path(self) -> tuple[str, str]:
        """The base URL's path in two: what an address of the operator's put in front, and the version root's own."""
        path = urlsplit(self.base_url).path.rstrip("/")
        own = next((tail for tail in (self.provider.path, _VERSION) if tail and path.endswith(tail)), "")
        return path.removesuffix(own), own

    def target(self, path: str, query: bytes, dialect: str | None = None) -> bytes:
        """The request target for a path below the API's version root, e.g. "/chat/completions".

        With the dialect named, the path hangs where this provider has that dialect. A path that begins with that root
        already, as the provider's own SDK writes it, is not put below it again, and neither is one that begins with
        /v1, as many clients write it, unless the provider's paths all stand at the server's root.
        """
        front, own = self._split_path
        own = self.provider.roots.get(dialect, own) if dialect is not None else own
        if own and path.startswith(f"{_VERSION}/"):
            path = path.removeprefix(_VERSION)
        root = front if own and path.startswith(own + "/") else front + own
        target = (root + path).encode("ascii")
        return target + b"?" + query if query else target

    def credential_headers(self, outbound: Outbound) -> Sequence[tuple[bytes, bytes]]:
        """The provider's own credential as headers, for this request."""
        token = self.secrets.get(ACCESS_TOKEN)
        if token is not None:
            return ((b"authorization", b"Bearer " + token.reveal().encode()),)
        handshake = self.provider.handshake
        return self.auth_headers() if handshake is None else handshake(self, outbound)

    def asks_for_usage(self, query: bytes) -> bool:
        """Whether a stream's usage has to be asked for, and a request with this query may ask."""
        if self.provider.stream_usage is not StreamUsage.ON_REQUEST:
            return False
        version = dict(parse_qsl(query.decode("latin-1"))).get("api-version", "") if query else ""
        return not version or version >= self.provider.usage_since

    def auth_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The provider's own credential as headers; none where it wants none or has none."""
        if self.credential is None or self.provider.auth is Auth.NONE:
            return ()
        key = self.credential.reveal().encode()
        if self.provider.auth is Auth.BEARER:
            return ((b"authorization", b"Bearer " + key),)
        return ((self.provider.auth.value.encode(), key),)


def header_safe(key: str) -> str:
    """A credential that can stand in a header. Raises ValueError, without its text, if it cannot."""
    if not _VISIBLE.fullmatch(key):
        raise ValueError("expected a key of visible ASCII characters without spaces")
    return key


def _checked(base_url: str) -> SplitResult:
    """The URL, split. Its text is never repeated in an error: it may hold a password."""
    expected = "expected an http:// or https:// URL"
    try:
        url = urlsplit(base_url.strip())
        well_formed = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        raise ValueError(f"{expected} with a valid host and port") from None
    if not well_formed or not _VISIBLE.fullmatch(base_url.strip()):
        raise ValueError(expected)
    if "@" in url.netloc:
        raise ValueError(f"{expected} without a user name or password; a key is set by itself")
    if url.query or url.fragment:
        raise ValueError(f"{expected} without a query or fragment")
    return url


@lru_cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(p.replace(".", "[.]").replace("*", "[^/]*") for p in patterns) or "(?!)")
