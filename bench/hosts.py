"""Two hosts on one machine: network namespaces on a bridge, with addresses of their own. Needs root and iproute2."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

OUTSIDE = "10.77.32.254"
"""This machine, as the hosts see it."""
NETWORK = "10.77.32.0/24"
_BRIDGE = "hgbench0"


@dataclass(frozen=True, slots=True)
class Host:
    """Where a gateway runs: the command that runs another there, and the address that it is reached at."""

    address: str
    within: Sequence[str] = field(default=())


def possible() -> bool:
    """Whether this user may make hosts here."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


def commands(number: int) -> list[str]:
    """What makes the host of that number."""
    name, veth = f"hgbench{number}", f"hgbv{number}"
    return [
        f"netns add {name}",
        f"link add {veth} type veth peer name eth0 netns {name}",
        f"link set {veth} master {_BRIDGE} up",
        f"-n {name} addr add 10.77.32.{number}/24 dev eth0",
        f"-n {name} link set eth0 up",
        f"-n {name} link set lo up",
    ]


@contextmanager
def two() -> Iterator[list[Host]]:
    """Both, until the end of the block. Raises CalledProcessError where it is not allowed."""
    try:
        _ip(f"link add {_BRIDGE} type bridge", f"addr add {OUTSIDE}/24 dev {_BRIDGE}", f"link set {_BRIDGE} up")
        for number in (1, 2):
            _ip(*commands(number))
        yield [Host(f"10.77.32.{n}", ("ip", "netns", "exec", f"hgbench{n}")) for n in (1, 2)]
    finally:
        for command in ("netns del hgbench1", "netns del hgbench2", f"link del {_BRIDGE}"):
            subprocess.run(["ip", *command.split()], check=False, stderr=subprocess.DEVNULL)


def _ip(*these: str) -> None:
    for command in these:
        subprocess.run(["ip", *command.split()], check=True)
