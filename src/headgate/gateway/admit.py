"""A request becomes an Admission, or is refused."""

from msgspec import Struct
from msgspec.structs import replace

from headgate.dialects.base import Ask
from headgate.errors import Busy
from headgate.gateway.holder import Doorkeeper, Holder
from headgate.gateway.locate import Place, may_cost
from headgate.gateway.request import Request
from headgate.gateway.upstream import Headers
from headgate.records import RecordLog


class Admission(Struct, frozen=True):
    """A request that will be served if a provider can be found for it, and paid for."""

    request: Request
    place: Place
    ask: Ask
    holder: Holder
    credentials: Headers = ()
    """The client's own, for a deployment that is called with them; a gateway key is never among them."""

    @property
    def may_cost(self) -> bool:
        """Whether a provider may bill for it."""
        return may_cost(self.request.method, self.place)


async def admit(request: Request, place: Place, door: Doorkeeper, log: RecordLog) -> Admission:
    """Let a request in.

    Raises Unauthorized without a good key where one is needed, Busy while records cannot be kept, BadRequest for a
    body that its dialect cannot read, and whatever made the body unreadable.
    """
    holder = await door.holder(request)
    if request.unreadable is not None:
        raise request.unreadable
    if not log.accepting:
        raise Busy("The gateway cannot write its records at the moment, so it takes no requests.")
    return Admission(request, place, read_ask(request, place), holder, door.others(request))


def read_ask(request: Request, place: Place) -> Ask:
    """The ask of a request; an empty one where there is nothing to read."""
    ask = Ask(input_bytes=len(request.body))
    if place.dialect is not None and request.method == "POST" and request.body:
        ask = place.dialect.read_ask(request.body, request.headers)
    streams = ask.stream or (place.operation is not None and place.operation.streams)
    return replace(ask, model=place.model or ask.model, stream=streams, response_id=place.response_id)
