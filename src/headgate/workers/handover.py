"""What a supervisor tells the program that takes its place: a newer one perhaps, in the same process.

A supervisor ends by becoming that program (execve): its number stays, so whoever watches it, such as systemd, sees no
end; and so do its children, the sockets that listen, and the lines to the workers, which go on serving meanwhile.
"""

import json
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass

VARIABLE = "HEADGATE_HANDOVER"


@dataclass(frozen=True, slots=True)
class Left:
    """A worker of the program before."""

    pid: int
    number: int
    place: int
    line: int
    """The descriptor of the supervisor's end."""
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Handover:
    """All that is handed over."""

    sockets: tuple[int, ...]
    """Descriptors, of those that listen."""
    workers: tuple[Left, ...]
    next_number: int
    folder: str

    def env(self, env: Mapping[str, str]) -> dict[str, str]:
        """An environment that carries it; its descriptors are made to last."""
        for fd in (*self.sockets, *(worker.line for worker in self.workers)):
            os.set_inheritable(fd, True)  # noqa: FBT003
        return {**env, VARIABLE: json.dumps(asdict(self))}

    def listening(self) -> list[socket.socket]:
        """The sockets."""
        return [_kept(fd) for fd in self.sockets]


def taken(env: MutableMapping[str, str]) -> Handover | None:
    """What was handed over, if anything was; it is taken out of the environment."""
    text = env.pop(VARIABLE, None)
    if text is None:
        return None
    told = json.loads(text)
    workers = tuple(Left(**worker) for worker in told["workers"])
    return Handover(tuple(told["sockets"]), workers, told["next_number"], told["folder"])


def line_of(worker: Left) -> socket.socket:
    """The supervisor's end of a line."""
    return _kept(worker.line)


def _kept(fd: int) -> socket.socket:
    os.set_inheritable(fd, False)  # noqa: FBT003
    return socket.socket(fileno=fd)
