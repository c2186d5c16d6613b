import asyncio
import socket

from headgate.workers.lifeline import LEAVE, READY, Lifeline


async def test_what_each_end_hears() -> None:
    ours, theirs = socket.socketpair()
    heard: list[str] = []
    lifeline, gone = Lifeline(theirs), asyncio.Event()

    def stop() -> None:
        heard.append("stop")
        gone.set()

    lifeline.attach(lambda: heard.append("leave"), stop)
    lifeline.ready()
    assert ours.recv(10) == READY
    ours.send(LEAVE)
    await asyncio.sleep(0.01)
    assert heard == ["leave"]
    ours.close()
    await gone.wait()
    assert heard == ["leave", "stop"]
    lifeline.ready()
    theirs.close()
