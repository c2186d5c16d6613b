import json
import os
import socket
import subprocess
import sys

from headgate.workers.handover import VARIABLE, Handover, Left, line_of, taken

CHILD = """
import os, sys
from headgate.workers.handover import line_of, taken
found = taken(os.environ)
assert found is not None and taken(os.environ) is None
(listening,), (worker,) = found.listening(), found.workers
print(listening.getsockname()[1], worker.pid, worker.leaving, found.next_number, found.folder)
line_of(worker).send(b"hello")
"""


def test_it_outlives_the_program_that_it_is_told_by() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listening:
        left = Left(4711, 3, 1, ours.fileno(), leaving=True)
        told = Handover((listening.fileno(),), (left,), 5, "/run/somewhere")
        env = told.env(os.environ)
        assert json.loads(env[VARIABLE])["next_number"] == 5
        done = subprocess.run(
            [sys.executable, "-c", CHILD], env=env, close_fds=False, capture_output=True, text=True, check=False
        )
        assert done.stdout.split() == [str(listening.getsockname()[1]), "4711", "True", "5", "/run/somewhere"], done
        assert theirs.recv(10) == b"hello"


def test_without_one_nothing_is_taken() -> None:
    assert taken({}) is None


def test_a_line_is_for_this_program_only() -> None:
    ours, theirs = socket.socketpair()
    os.set_inheritable(ours.fileno(), True)  # noqa: FBT003
    with line_of(Left(1, 1, 0, ours.detach())) as line, theirs:
        assert not line.get_inheritable()
