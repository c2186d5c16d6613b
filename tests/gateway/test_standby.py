"""A line before it leads anywhere."""

import asyncio

import pytest

from headgate.dialects.base import Ask
from headgate.errors import UpstreamUnreachable
from headgate.gateway.admit import Admission
from headgate.gateway.dialling import End
from headgate.gateway.holder import Holder
from headgate.gateway.locate import Place
from headgate.gateway.request import Opening
from headgate.gateway.socket import SocketClosed
from headgate.gateway.standby import Standby
from headgate.records import Attempt

from .fake_sockets import FakeSocket, upgrade
from .fakes import deployment

ASKED = Admission(upgrade(), Place("/responses"), Ask(), Holder())
OPENING = Opening("ex_1", 0, 0, lambda: 0)


def standby(*answers: FakeSocket | UpstreamUnreachable) -> Standby:
    left = list(answers)

    async def dial(asked: Admission, opening: Opening, tried: list[Attempt]) -> End:
        assert (asked, opening, tried) == (ASKED, OPENING, [])
        answer = left.pop(0)
        if isinstance(answer, UpstreamUnreachable):
            raise answer
        return End(deployment("openai"), answer)

    return Standby(dial)


async def test_who_receives_waits_until_it_stands() -> None:
    provider = FakeSocket(holds=True)
    line = standby(UpstreamUnreachable("no"), provider)
    receiving = asyncio.create_task(line.receive())
    with pytest.raises(UpstreamUnreachable):
        await line.stand(ASKED, OPENING, [])
    assert not line.holds_back(b"x")
    assert (await line.stand(ASKED, OPENING, [])).socket is provider
    provider.plays(b"hello")
    assert await receiving == b"hello"
    await line.send(b"x")
    assert line.holds_back(b"x")
    await line.close(1001, "over")
    assert provider.closed == (1001, "over")


async def test_one_that_never_stood_takes_nothing_and_is_closed() -> None:
    line = standby()
    with pytest.raises(SocketClosed):
        await line.send(b"x")
    await line.close(1001)
