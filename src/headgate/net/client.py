"""The pooled HTTP/1.1 client that fulfils `gateway.upstream`."""

import ssl

from headgate.errors import Busy
from headgate.gateway.upstream import Clearance, UpstreamRequest
from headgate.net.client_call import HttpCall
from headgate.net.connection_dial import tls_context
from headgate.net.pool import Pool
from headgate.providers.base import Origin


class HttpUpstream:
    """Opens calls and keeps the connections between them. Belongs to the event loop that it is first used in."""

    def __init__(
        self,
        *,
        max_idle_per_origin: int = 256,
        idle_seconds: float = 15.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`ssl_context` stands in for `connection_dial.tls_context()`, e.g. to trust an authority of one's own."""
        self._pool = Pool(max_idle_per_origin, idle_seconds, ssl_context or tls_context())
        self._calls: set[HttpCall] = set()
        self._closed = False

    def ready(self, origin: Origin) -> bool:
        """Whether a connection is waiting, so that a request would go out at once."""
        return self._pool.has_idle(origin)

    def open(self, request: UpstreamRequest, clearance: Clearance | None = None) -> HttpCall:
        """Begin; returns at once. The caller must in the end abort the call, whatever happened to it.

        A clearance is awaited once a new connection stands and before the first byte goes out.

        Raises BadRequest if the request cannot be sent as one unmistakable HTTP request, and Busy after `aclose`.
        """
        if self._closed:
            raise Busy("The gateway is stopping.")
        call = HttpCall(self._pool, request, self._calls.discard, clearance)
        self._calls.add(call)
        call.begin()
        return call

    def retire(self) -> None:
        """Keep no connection for later any more; calls go on as they were."""
        self._pool.retire()

    async def aclose(self) -> None:
        """Abort every call, close every connection, and wait until all of that is done."""
        self._closed = True
        for call in list(self._calls):
            call.abort()
        await self._pool.aclose()
