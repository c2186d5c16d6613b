"""Which wire API a request speaks, by its path, or by its body where the path does not say."""

import re
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from headgate.dialects import registry
from headgate.dialects.base import Dialect, Metering, Operation
from headgate.errors import BadRequest, NotFound
from headgate.gateway.request import Request

_OPAQUE = "/p/"

_SUSPICIOUS = re.compile(r"/\.|%|\\")
"""Every path that climbs has one of these; few others do."""
_TIMES_DECODED = 3
"""At most, by all servers on the way together."""
_SEPARATOR = re.compile(r"[/\\]")


class Place(Struct, frozen=True):
    """Where a request is addressed."""

    path: str
    """Below the version root, percent-encoding kept: "/chat/completions"; as asked where no dialect knows it."""
    dialect: Dialect | None = None
    """None where a provider's path is passed on without being understood."""
    operation: Operation | None = None
    response_id: str | None = None
    """The stored response that the path names."""
    model: str | None = None
    """The model that the path names, where the API has it there."""
    deployment: str | None = None
    """The deployment that the path or the X-Provider header names."""
    opaque: bool = False
    """The path is the provider's own, /p/NAME/...: passed on whether or not that provider is known to speak it."""

    @property
    def billed(self) -> bool:
        """True if this very exchange is billed for what it uses."""
        return self.operation is not None and self.operation.metering is Metering.COUNTED

    @property
    def metered(self) -> bool:
        """True if the answer's usage matters for the books."""
        return self.operation is not None and self.operation.metering is not Metering.FREE


def locate(request: Request) -> Place:
    """Find what a request is addressed to.

    Raises NotFound for a path that is none of ours, and BadRequest for POST / with a body of no known API, or for a
    path that climbs.
    """
    if climbs(request.path):
        raise BadRequest("A path with '.' or '..' segments is not passed on, however they are written.")
    header = request.header(b"x-provider")
    named = header.decode("latin-1").strip() if header else None
    if request.path.startswith(_OPAQUE):
        return _opaque(request)
    if request.path == "/" and request.method == "POST":
        dialect, operation = registry.detect(request.body, request.headers)
        return Place(operation.path, dialect, operation, deployment=named)
    path = _below_root(request.path)
    for candidate in (path, request.path):
        found = registry.recognise(request.method, candidate)
        if found is not None:
            return _place(candidate, found, named)
    if named is not None:
        return Place(request.path, deployment=named)
    raise NotFound(
        f"{request.method} {request.path} is not a path of this gateway. Use a provider's own path below /v1, "
        "or /p/PROVIDER/PATH for anything else."
    )


def climbs(path: str) -> bool:
    """Whether any server on the way could take the path for one with dot segments (RFC 3986 section 5.2.4).

    Servers differ: some resolve `..%2f`, some a backslash, and some undo an encoding twice. What lies above a base URL
    is not the client's to reach with the operator's credential.
    """
    if not _SUSPICIOUS.search(path):
        return False
    for _ in range(_TIMES_DECODED + 1):
        if not {".", ".."}.isdisjoint(_SEPARATOR.split(path)):
            return True
        path = unquote(path)
    return False


def may_cost(method: str, place: Place | None) -> bool:
    """Whether a provider may bill this. Of paths that are passed on without being understood, every POST may be."""
    if place is None or place.operation is None:
        return method == "POST"
    return place.operation.metering is Metering.COUNTED


def below_version(path: str) -> str:
    """The path without a leading /v1: clients are configured with and without it."""
    return path[3:] if path.startswith("/v1/") else path


def _below_root(path: str) -> str:
    """The path below the version root as SDKs write it: /v1, or /openai/v1 as Azure's and Groq's do."""
    return below_version(path.removeprefix("/openai") if path.startswith("/openai/v1/") else path)


def _opaque(request: Request) -> Place:
    name, slash, rest = request.path[len(_OPAQUE) :].partition("/")
    if not name or not slash:
        raise NotFound("Expected /p/PROVIDER/PATH, for example /p/openai/v1/models.")
    found = registry.recognise_suffix(request.method, "/" + rest)
    path = "/" + rest
    if found is None:
        return Place(path, deployment=name, opaque=True)
    return replace(_place(path if found.dialect.at_origin else below_version(path), found, name), opaque=True)


def _place(path: str, found: registry.Match, named: str | None) -> Place:
    given = found.parameters
    return Place(path, found.dialect, found.operation, given.get("id"), given.get("model"), named)
