from headgate.gateway.request import Client, Front, Request

from .fakes import FakeClient


def test_header_gives_the_first_by_lower_case_name() -> None:
    request = Request("GET", "/", b"", [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")], b"")
    assert (request.header(b"a"), request.header(b"b"), request.header(b"c")) == (b"1", b"2", None)


async def test_a_client_that_has_left_is_told_at_once() -> None:
    client: Client = FakeClient(gone=True)
    told: list[str] = []
    client.on_gone(lambda: told.append("gone"))
    assert told == ["gone"]


async def test_a_front_passes_everything_on() -> None:
    client = FakeClient()
    front = Front(client)
    assert not front.put(b"early")
    await front.start(200, ())
    assert front.put(b"a")
    await front.write(b"b")
    await front.end()
    assert (client.body, client.ended, front.started, front.gone) == (b"ab", True, True, False)
