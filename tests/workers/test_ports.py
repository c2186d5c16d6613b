import os
import socket
from contextlib import ExitStack

import pytest

from headgate.errors import ConfigError
from headgate.workers.ports import activated, completed, opened, shares


def test_there_is_one_for_each_worker_at_one_address() -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in opened("127.0.0.1", 0, 3)]
        assert len({each.getsockname() for each in sockets}) == 1
        for each in sockets:
            each.listen()
            each.settimeout(0)
        port = sockets[0].getsockname()[1]
        for _ in range(90):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        taken = [_waiting(each) for each in sockets]
        assert sum(taken) == 90
        assert min(taken) > 10, "spread over all"


def _waiting(listening: socket.socket) -> int:
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_port_that_somebody_has_is_not_shared_with_them() -> None:
    with ExitStack() as stack:
        (other,) = opened("127.0.0.1", 0, 1)
        stack.enter_context(other).listen()
        with pytest.raises(ConfigError, match="cannot listen"):
            opened("127.0.0.1", other.getsockname()[1], 2)


@pytest.mark.parametrize(
    ("sockets", "count", "own", "others"),
    [
        (2, 2, [["0"], ["1"]], [["1"], ["0"]]),
        (3, 2, [["0", "2"], ["1"]], [["1"], ["0", "2"]]),
        (1, 3, [["0"], ["0"], ["0"]], [[], [], []]),
        (1, 1, [["0"]], [[]]),
    ],
)
def test_whose_they_are(sockets: int, count: int, own: list[list[str]], others: list[list[str]]) -> None:
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(sockets)]
        found = [shares(made, place, count) for place in range(count)]
    assert [[str(made.index(each)) for each in mine] for mine, _ in found] == own
    assert [[str(made.index(each)) for each in theirs] for _, theirs in found] == others


def test_further_workers_get_further_ones_where_the_port_can_be_shared() -> None:
    with ExitStack() as stack:
        shared, alone = opened("127.0.0.1", 0, 1), [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
        more = [stack.enter_context(each) for each in completed(shared, 3)]
        assert len(more) == 3
        assert more[0] is shared[0]
        assert len({each.getsockname() for each in more}) == 1
        assert completed(alone, 3) == alone


def test_what_systemd_hands_over_is_for_this_process_only() -> None:
    assert activated({}) == []
    assert activated({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}) == []
    assert activated({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) == []
