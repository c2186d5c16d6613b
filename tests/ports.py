"""Ports for servers that the tests start, stop and start again."""

import socket

from headgate.net.server import bind


def kept_port() -> int:
    """A free port of this host, kept from everybody else for as long as this process lives.

    A socket that is bound and never listens holds it: the kernel gives the port to no connection and no other socket
    that asks for any, refuses who connects to it, and lets a server have it that asks for it by number and with
    SO_REUSEADDR, as servers do. A port that is merely found free may be another test's before the server has it, or
    while it is restarted.
    """
    taken = bind("127.0.0.1", 0)
    port: int = taken.getsockname()[1]
    socket.socket.detach(taken)  # open until the process ends
    return port
