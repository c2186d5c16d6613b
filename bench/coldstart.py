"""How long a gateway takes from the start of its process to its first right answer."""

import socket
import time
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from bench import script
from bench.checking import check_of
from bench.load import Door
from bench.targets import Target, free_port, home_of, launched
from bench.workloads import DOCUMENT

_POLL_SECONDS = 0.002
_PATIENCE_SECONDS = 120.0
_ANSWER_SECONDS = 10.0


def first_answer_ms(target: Target, upstream_port: int, cores: frozenset[int], folder: Path) -> float:
    """Start it once, in a folder of its own, whose making is not counted. Raises RuntimeError if no answer comes."""
    port, home = free_port(), home_of(target, folder)
    command, door = target.prepare(home, port, upstream_port), target.door(port, upstream_port)
    begun = time.perf_counter()
    with launched(target.name, command, cores, home / "output.txt") as process:
        while process.poll() is None and time.perf_counter() - begun < _PATIENCE_SECONDS:
            if asked(door):
                return (time.perf_counter() - begun) * 1000
            time.sleep(_POLL_SECONDS)
        raise RuntimeError(f"{target.name} gave no right answer: {(home / 'output.txt').read_text(errors='replace')}")


def asked(door: Door) -> bool:
    """Whether a document comes, and is right."""
    check = check_of(DOCUMENT, exact=door.exact)
    try:
        with closing(socket.create_connection((door.host, door.port), timeout=_ANSWER_SECONDS)) as connection:
            connection.sendall(script.request(DOCUMENT, f"{door.host}:{door.port}", door.headers(DOCUMENT.api)))
            answer = HTTPResponse(connection, method="POST")
            answer.begin()
            check.feed(answer.read())
    except (OSError, HTTPException):
        return False
    return answer.status == 200 and check.right()
