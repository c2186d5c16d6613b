"""A new connection: the name resolved, the addresses tried, TLS agreed on."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import zip_longest
from typing import Any, TypeVar

from headgate.errors import UpstreamUnreachable
from headgate.net.connection import Connection
from headgate.providers.base import Origin

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

_STAGGER = 0.25
"""Seconds after which the next address is tried beside the last one (RFC 8305 section 5)."""

_SOCKET_OPTIONS = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    # A model may think for minutes without a byte, and middleboxes forget silent connections. The providers' own
    # SDKs set the same figures.
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))
    if hasattr(socket, name)
]

_Address = tuple[int, int, int, str, Any]
"""As getaddrinfo gives it: family, type, protocol, canonical name, address."""


def tls_context() -> ssl.SSLContext:
    """Certificates and names are verified against the system's authorities; HTTP/1.1 is what is offered."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(origin: Origin, limit: float, tls: ssl.SSLContext) -> Connection:
    """A new connection, made within `limit` seconds. Raises UpstreamUnreachable."""
    return await dial_as(lambda: Connection(origin), origin, limit, tls)


async def dial_as(make: Callable[[], _P], origin: Origin, limit: float, tls: ssl.SSLContext) -> _P:
    """The same, for a protocol of another kind."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit):
            addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            sock = await _first_to_answer(_alternating(addresses))
            name = origin.host if origin.tls else None
            context = tls if origin.tls else None
            _, protocol = await loop.create_connection(make, sock=sock, ssl=context, server_hostname=name)
    except (OSError, UnicodeError) as error:
        raise UpstreamUnreachable(_reason(error)) from error
    return protocol


def _reason(error: OSError | UnicodeError) -> str:
    match error:
        case TimeoutError():
            return "Connecting to the provider took too long."
        case socket.gaierror() | UnicodeError():
            return "The provider's host name cannot be resolved."
        case ssl.SSLError():
            return "No secure connection to the provider could be made."
        case ConnectionRefusedError():
            return "The provider refused the connection."
        case _:
            return "No connection to the provider could be made."


def _alternating(addresses: Iterable[_Address]) -> list[_Address]:
    """Address families in turn, beginning with the resolver's favourite (RFC 8305 section 4)."""
    addresses = list(addresses)
    favoured = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for pair in zip_longest(favoured, others) for address in pair if address is not None]


async def _first_to_answer(addresses: list[_Address]) -> socket.socket:
    """A socket connected to the first address that answers. Raises OSError, the last one's, if none does.

    An address that is dead silent, as IPv6 is in some networks, must not use up the time of the others.
    """
    waiting = deque(addresses)
    tries: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError("the name has no address")
    try:
        while waiting or tries:
            if waiting:
                tries.add(asyncio.create_task(_connected(waiting.popleft())))
            stagger = _STAGGER if waiting else None
            done, _ = await asyncio.wait(tries, timeout=stagger, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                tries.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                failure = error
        raise failure
    finally:
        for task in tries:
            task.cancel()
            task.add_done_callback(_close_what_came_late)


async def _connected(address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    with ExitStack() as on_failure:
        sock = on_failure.enter_context(socket.socket(family, kind, protocol))
        sock.settimeout(0)
        for option in _SOCKET_OPTIONS:
            sock.setsockopt(*option)
        await asyncio.get_running_loop().sock_connect(sock, where)
        on_failure.pop_all()
    return sock


def _close_what_came_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
