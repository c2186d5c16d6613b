import inspect

from headgate.gateway.upstream import Call, Upstream
from headgate.net.client import HttpUpstream

from .fakes import FakeCall, FakeUpstream


def test_the_fakes_play_the_protocols() -> None:
    upstream: Upstream = FakeUpstream([FakeCall("hang")])
    call: type[Call] = FakeCall
    assert callable(upstream.open)
    assert inspect.iscoroutinefunction(call.head)


async def test_the_real_client_fulfils_them() -> None:
    upstream: Upstream = HttpUpstream()
    assert inspect.signature(upstream.open).parameters.keys() == {"request", "clearance"}
