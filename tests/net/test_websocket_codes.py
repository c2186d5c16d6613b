"""Close codes and reasons as they can be sent: whatever comes out, the library sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from headgate.net.websocket_codes import fitting, sendable


@given(st.integers(0, 65535), st.text())
def test_any_code_and_reason_can_be_sent(code: int, reason: str) -> None:
    Frame(Opcode.CLOSE, Close(sendable(code), fitting(reason)).serialize()).check()
    assert reason.startswith(fitting(reason))


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        *((code, code) for code in (1000, 1001, 1008, 1012, 1014, 3000, 4999)),
        *((code, 1011) for code in (0, 999, 1004, 1006, 1015, 1016, 2999, 5000)),
        (1005, 1001),
    ],
)
def test_a_code_passes_or_becomes_one_that_clients_take_alike(code: int, sent: int) -> None:
    assert sendable(code) == sent


@pytest.mark.parametrize(
    ("reason", "sent"), [("", ""), ("x" * 123, "x" * 123), ("x" * 124, "x" * 123), ("x" * 122 + "é", "x" * 122)]
)
def test_a_reason_is_cut_between_characters(reason: str, sent: str) -> None:
    assert fitting(reason) == sent
