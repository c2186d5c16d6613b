"""The way out: what the gateway asks of an HTTP client. `net/client.py` fulfils it.

An upstream is called by opening a Call, which can be aborted from anywhere at any time; that is how a client that left
stops an upstream that is still being connected to, still thinking, or still talking.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from headgate.providers.base import Deployment, Origin, TimeLimits

Headers = Sequence[tuple[bytes, bytes]]


Clearance = Callable[[], Awaitable[None]]


Sink = Callable[[bytes], bool]
"""Takes a chunk as it comes, or says that it cannot do so at once."""


class CallAborted(Exception):
    """Raised by a Call's pending and later awaits after `abort`. Not an error: someone asked for it."""


class UpstreamRequest(Struct, frozen=True):
    """A request ready to send. `headers` holds neither host, content-length nor any hop-by-hop header."""

    method: bytes
    origin: Origin
    host: bytes
    """The Host header's value."""
    target: bytes
    """Path and query as they stand in the request line, already encoded."""
    headers: Headers
    body: bytes
    limits: TimeLimits


class Head(Struct, frozen=True):
    """The answer's status and headers, as received and in order, names in lower case."""

    status: int
    headers: Headers


class Call(Protocol):
    """One request on its way. Await `head` once, then `read` until it gives b""."""

    @property
    def sent(self) -> bool:
        """True once any byte of the request has been handed to a connection: from then on it may cost money."""

    async def head(self) -> Head:
        """The final answer's head (1xx are passed over).

        Raises UpstreamUnreachable (nothing was sent), UpstreamTimeout, UpstreamCut, CallAborted.
        """

    async def read(self, sink: Sink | None = None) -> bytes:
        """The next bytes of the body as they arrived (transfer coding undone, content coding not); b"" at its end.

        A chunk that comes while this waits is offered to the sink, at once and before anybody is woken for it. What
        the sink takes is not given here, and the wait begins anew; what it does not take is the next bytes.

        Raises UpstreamTimeout, UpstreamCut (the body broke off), CallAborted, and whatever the sink raises.
        """

    def abort(self) -> None:
        """Give up: the connection is closed unless the body was read to its end. Does nothing the second time."""


class Credentials(Protocol):
    """Keeps the credentials that do not last."""

    async def freshen(self, deployment: Deployment) -> Deployment:
        """The deployment with credentials that are good now. Raises UpstreamUnreachable if there are none to be had."""


class Upstream(Protocol):
    """Opens calls."""

    def open(self, request: UpstreamRequest, clearance: Clearance | None = None) -> Call:
        """Begin; returns at once. The caller must in the end abort the call, whatever happened to it.

        A clearance is awaited once there is a connection and before the first byte goes out; what it raises is how
        the call ends.
        """

    def ready(self, origin: Origin) -> bool:
        """Whether a connection is waiting, so that a request would go out at once."""
