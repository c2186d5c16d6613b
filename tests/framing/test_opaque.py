from headgate.framing.base import Framing
from headgate.framing.opaque import Opaque


def test_nothing_is_kept_and_nothing_is_given() -> None:
    framing: Framing = Opaque()
    assert framing.feed(b"data: {}\n\n") == []
    assert framing.end() == []
    assert (framing.oversize, framing.corrupt, framing.unterminated) == (0, 0, False)
