"""The protocols, and who fulfils them; mypy checks the assignments."""

from headgate.gateway.socket import BinaryFrame, ClientSocket, SocketClosed, Sockets, UpstreamSocket
from headgate.net.websocket_client import WebSockets
from headgate.net.websocket_server import AsgiSocket
from tests.gateway.fake_sockets import FakeSocket, FakeSockets


async def test_who_fulfils_the_protocols() -> None:
    async def never() -> dict[str, str]:
        raise AssertionError

    async def nothing(message: object) -> None:
        del message

    clients: list[ClientSocket] = [FakeSocket(), AsgiSocket({}, never, nothing)]
    upstream: UpstreamSocket = FakeSocket()
    openers: list[Sockets] = [FakeSockets(), WebSockets()]
    assert len(clients) == len(openers) == 2
    assert upstream.headers == ()


def test_how_a_socket_ended_reads_well() -> None:
    closed = SocketClosed(1008, "enough")
    assert (closed.code, closed.reason, str(closed)) == (1008, "enough", "1008 enough")
    assert str(SocketClosed(1006)) == "1006"
    assert not isinstance(BinaryFrame(), SocketClosed)
