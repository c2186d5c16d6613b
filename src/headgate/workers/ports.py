"""The sockets that listen. The supervisor holds all of them, so that nobody who waits is refused when a worker dies.

There is one for each worker (SO_REUSEPORT): the kernel spreads connections evenly over them, where workers on one
socket get what each happens to be awake for. A worker looks into the others' sockets too, some times a second: what
waits there belongs to one that is dead, stuck or not yet begun.
"""

import os
import socket
from collections.abc import Mapping, Sequence

from headgate.net.server import bind

_FIRST_FD = 3
"""Of those that systemd hands over (sd_listen_fds(3))."""


def activated(env: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The sockets of systemd's socket activation, which listen already; none without it."""
    if env.get("LISTEN_PID") != str(os.getpid()):
        return []
    return [socket.socket(fileno=fd) for fd in range(_FIRST_FD, _FIRST_FD + int(env.get("LISTEN_FDS", "0")))]


def opened(host: str, port: int, count: int) -> list[socket.socket]:
    """So many sockets at one address; port 0 takes a free one. Raises ConfigError if it cannot be had.

    Others that share the port would get a part of the connections, so it is first asked for alone.
    """
    alone = bind(host, port)
    port = alone.getsockname()[1]
    alone.close()
    return [bind(host, port, shared=True) for _ in range(count)]


def completed(sockets: Sequence[socket.socket], count: int) -> list[socket.socket]:
    """The sockets that there are, and more for further workers where their port can be shared."""
    more = []
    first = sockets[0]
    if len(sockets) < count and first.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        host, port = first.getsockname()[:2]
        more = [bind(host, port, shared=True) for _ in range(count - len(sockets))]
    return [*sockets, *more]


def shares(sockets: Sequence[socket.socket], place: int, count: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """Of all sockets those that a worker listens on, and those that it looks into; all of one that is for all."""
    if len(sockets) < count:
        return [sockets[place % len(sockets)]], []
    own = list(sockets[place::count])
    return own, [each for each in sockets if each not in own]
