import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.audit.legible import legible
from headgate.audit.redaction import Redactor
from headgate.gateway.request import ClientGone
from headgate.gateway.tape import Tape, TapedClient
from tests.audit.planted import PEM, SECRETS
from tests.gateway.fakes import SSE, FakeClient


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    return [data[a:b] for a, b in zip(places, places[1:], strict=False)]  # noqa: RUF007 - of one place there is no pair


async def test_it_passes_on_whatever_it_is_given_as_it_is() -> None:
    client, tape = FakeClient(), Tape(b"asked", "application/json", 100)
    taped = TapedClient(client, tape)
    left: list[bool] = []
    taped.on_gone(lambda: left.append(True))
    before = taped.started
    await taped.start(200, [*SSE, (b"content-encoding", b"br")], trailers=True)
    chunk = b"data: 1\n\n"
    await taped.write(chunk)
    await taped.end(((b"x", b"y"),))
    taped.abort()
    assert (client.status, client.announced, client.ended, client.trailers) == (200, True, True, ((b"x", b"y"),))
    assert client.chunks[0] is chunk
    assert client.aborted
    assert (before, taped.started) == (False, True)
    assert (tape.content_type, tape.content_encoding) == ("text/event-stream", "br")
    assert (bytes(tape.kept), tape.size, tape.request) == (chunk, len(chunk), b"asked")
    client.leave()
    assert (left, taped.gone) == ([True], True)
    with pytest.raises(ClientGone):
        await taped.write(b"unheard")
    assert tape.size == len(chunk), "what did not go out was not said"


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10), st.integers(1, 200))
def test_however_it_is_split_the_beginning_is_kept_and_all_is_counted(data: bytes, cuts: list[int], most: int) -> None:
    tape = Tape(b"", "", most)
    for piece in pieces(data, cuts):
        tape.feed(piece)
    assert bytes(tape.kept) == data[:most]
    assert (tape.size, tape.taken) == (len(data), min(len(data), most))


def test_frames_are_lines() -> None:
    tape = Tape(b"", "", 9)
    for frame in (b"{1}", b"{2}", b"{3}", b"{4}"):
        tape.line(frame)
    assert (bytes(tape.kept), tape.size, tape.taken) == (b"{1}\n{2}\n{", 12, 7)


@given(
    st.sampled_from([*SECRETS.values(), PEM]),
    st.lists(st.integers(0, 2_000), max_size=8),
    st.integers(0, 40),
    st.integers(60, 400),
)
def test_no_split_of_a_body_lets_a_secret_through(secret: str, cuts: list[int], at: int, most: int) -> None:
    """Wherever chunks begin and end, and wherever the text is cut."""
    said = "words " * at + secret + " more words" * 5
    body = b"data: " + json.dumps({"choices": [{"delta": {"content": said}}]}).encode() + b"\n\ndata: [DONE]\n\n"
    tape = Tape(b"", "", most + 16_384)
    for piece in pieces(body, cuts):
        tape.feed(piece)
    kept = Redactor().redact(legible(bytes(tape.kept), "text/event-stream"), most).text
    written = json.dumps(secret)[1:-1]
    assert not [start for start in range(len(written) - 12) if written[start : start + 12] in kept]


async def test_what_is_put_is_kept_only_if_it_goes_out() -> None:
    client, tape = FakeClient(), Tape(b"", "", 100)
    taped = TapedClient(client, tape)
    assert not taped.put(b"early")
    await taped.start(200, SSE)
    assert taped.put(b"said")
    client.keeps_up = False
    assert not taped.put(b"late")
    client.leave()
    with pytest.raises(ClientGone):
        taped.put(b"unheard")
    assert (client.body, bytes(tape.kept)) == (b"said", b"said")
