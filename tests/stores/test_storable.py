from typing import Any

import pytest

from headgate.ledger.commands import Capture, Checkpoint, Expire, Place, Post, Void
from headgate.ledger.entries import Cap, EntryKind, Measure
from headgate.stores.storable import require_storable, storable, storable_text

PLACE = Place("h1", "acme", 2**63 - 1, 1, "n1", about="é\U0001f600", caps=(Cap("c", Measure.MONEY, 5, -(2**63) + 1),))


@pytest.mark.parametrize("value", ["", "é\U0001f600", 0, 2**63 - 1, -(2**63) + 1, None, b"\0", True, (), PLACE])
def test_what_can_be_kept(value: Any) -> None:
    assert require_storable(value) is value


@pytest.mark.parametrize(
    "value",
    [
        "\0", "a\ud800b", "\udfff", 2**63, -(2**63), ("a", "\0"),
        Checkpoint("h\0", "acme"), Checkpoint("h", "acme", 2**64),
        Place("h", "acme", 1, 1, "n", caps=(Cap("\0", Measure.MONEY, 5, 5),)),
    ],
)  # fmt: skip
def test_what_cannot(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be kept"):
        require_storable(value)


def test_free_texts_are_mended_and_ids_are_not() -> None:
    post = Post("e", "acme", EntryKind.TOP_UP, 1, 1, note="a\0b")
    for command in (post, Capture("h", "a", 1, 1, 0, "a\0b"), Void("h", "a", 1, "a\0b"), Expire("h", "a", 1, "a\0b")):
        mended = storable(command)
        assert not isinstance(mended, Place | Checkpoint)
        assert getattr(mended, "note", None) == "a\ufffdb"
    assert storable(PLACE) is PLACE
    assert storable(Place("h", "acme", 1, 1, "n", about="\ud800")) == Place("h", "acme", 1, 1, "n", about="\ufffd")
    with pytest.raises(ValueError, match="cannot be kept"):
        storable(Void("h\0", "acme", 1))
    assert storable_text("\ud83d\ude00!") == "\ufffd\ufffd!"
