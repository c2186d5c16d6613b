import pytest

from headgate.framing.base import MAX_FRAME_BYTES, Frame, Framing
from headgate.framing.document import Document
from headgate.framing.sse import ServerSentEvents

FRAMINGS: list[tuple[Framing, bytes]] = [(ServerSentEvents(), b"data: x\n\n"), (Document(), b"{}")]


@pytest.mark.parametrize(("framing", "body"), FRAMINGS, ids=lambda value: type(value).__name__)
def test_each_framing_fulfils_the_protocol(framing: Framing, body: bytes) -> None:
    frames = framing.feed(body) + framing.end()
    assert [type(frame) for frame in frames] == [Frame]
    assert (framing.oversize, framing.unterminated) == (0, False)


def test_the_bound_holds_the_largest_events_that_are_known() -> None:
    known = 4 * 1024 * 1024  # facts/stream_cases.md 3.5: a terminal event of the Responses API
    assert known < MAX_FRAME_BYTES <= 64 * 1024 * 1024
