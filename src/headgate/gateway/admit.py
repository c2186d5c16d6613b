"""A request becomes an Admission, or is refused."""

from dataclasses import dataclass, replace

from headgate.access.keys import Keys
from headgate.dialects.base import Ask
from headgate.errors import Busy, Unauthorized
from headgate.gateway.headers import bare, credentials_of
from headgate.gateway.locate import Place
from headgate.gateway.request import Request
from headgate.gateway.upstream import Headers
from headgate.records import RecordLog


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that will be served if a provider can be found for it."""

    request: Request
    place: Place
    ask: Ask
    key: str | None
    """The name of the gateway key it came with; None where the gateway is open."""
    credentials: Headers = ()
    """The client's own, for a deployment that is called with them; a gateway key is never among them."""


def admit(request: Request, place: Place, keys: Keys, log: RecordLog) -> Admission:
    """Let a request in.

    Raises Unauthorized without a valid key where keys are set, Busy while records cannot be kept, BadRequest for a
    body that its dialect cannot read, and whatever made the body unreadable.
    """
    key = authenticate(request, keys)
    if request.unreadable is not None:
        raise request.unreadable
    if not log.accepting:
        raise Busy("The gateway cannot write its records at the moment, so it takes no requests.")
    own = [pair for pair in credentials_of(request.headers, request.query) if keys.holder(bare(pair[1])) is None]
    return Admission(request, place, read_ask(request, place), key, own)


def authenticate(request: Request, keys: Keys) -> str | None:
    """The name of the request's gateway key; None where no keys are set, and so everyone may come."""
    if keys.open:
        return None
    for _, value in credentials_of(request.headers, request.query):
        name = keys.holder(bare(value))
        if name is not None:
            return name
    raise Unauthorized("This gateway needs one of its own keys, as a bearer token or in x-api-key.")


def read_ask(request: Request, place: Place) -> Ask:
    """The ask of a request; an empty one where there is nothing to read."""
    ask = Ask(input_bytes=len(request.body))
    if place.dialect is not None and request.method == "POST" and request.body:
        ask = place.dialect.read_ask(request.body, request.headers)
    streams = ask.stream or (place.operation is not None and place.operation.streams)
    return replace(ask, model=place.model or ask.model, stream=streams, response_id=place.response_id)
