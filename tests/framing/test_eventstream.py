"""The decoder against botocore's, a table of what may be wrong with a message, and every split of each."""

import struct
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from headgate.framing.base import MAX_FRAME_BYTES, Frame
from headgate.framing.eventstream import EventStream, encode
from headgate.testing.corpus import Case, load
from headgate.testing.splits import every_split, random_split, split_at
from tests.strategies import mixtures, splits

CASES = [case for case in load(Path(__file__).parent.parent / "corpus.tar.xz") if case.framing == "eventstream"]

Outcome = tuple[list[Frame], int, int, bool]


def read(chunks: list[bytes], bound: int = 1 << 20) -> Outcome:
    stream = EventStream(bound)
    frames = [frame for chunk in chunks for frame in stream.feed(chunk)] + stream.end()
    return frames, stream.corrupt, stream.oversize, stream.unterminated


def by_botocore(chunks: list[bytes]) -> list[Frame]:
    buffer = EventStreamBuffer()
    frames: list[Frame] = []
    for chunk in chunks:
        buffer.add_data(chunk)
        frames += [_frame(message.headers, message.payload) for message in buffer]
    return frames


def _frame(headers: Mapping[str, Any], payload: bytes) -> Frame:
    def text(name: str) -> str:
        value = headers.get(name)
        return value if isinstance(value, str) else ""

    match text(":message-type"):
        case "exception":
            return Frame(f"exception:{text(':exception-type')}".encode(), payload)
        case "error":
            return Frame(f"error:{text(':error-code')}".encode(), payload or text(":error-message").encode())
        case _:
            return Frame(text(":event-type").encode(), payload)


def message(block: bytes, payload: bytes = b"{}", total: int | None = None, headers: int | None = None) -> bytes:
    """A message under right checksums, from its parts; the lengths may be made to lie."""
    lengths = struct.pack(
        ">II", 16 + len(block) + len(payload) if total is None else total, len(block) if headers is None else headers
    )
    rest = lengths + struct.pack(">I", crc32(lengths)) + block + payload
    return rest + struct.pack(">I", crc32(rest))


def header(name: str, kind: int, value: bytes) -> bytes:
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value


def sized(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def event(name: str, payload: bytes = b"{}") -> bytes:
    return encode({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, payload)


A, B, C = event("messageStart"), event("contentBlockDelta", b'{"delta":1}'), event("metadata", b'{"usage":1}')
FRAME_A, FRAME_B, FRAME_C = (
    Frame(b"messageStart", b"{}"),
    Frame(b"contentBlockDelta", b'{"delta":1}'),
    Frame(b"metadata", b'{"usage":1}'),
)


def test_events_exceptions_and_errors_at_every_split() -> None:
    body = b"".join((
        A,
        encode({":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message":"slow"}'),
        encode({":message-type": "error", ":error-code": "500", ":error-message": "no"}, b""),
        encode({":message-type": "error", ":error-code": "500", ":error-message": "no"}, b"{}"),
        encode({":message-type": "error"}, b""),
        encode({":message-type": "exception"}, b""),
        encode({":event-type": "chunk"}, b"\x00\xff"),
        encode({}, b""),
    ))  # fmt: skip
    frames = [
        FRAME_A,
        Frame(b"exception:throttlingException", b'{"message":"slow"}'),
        Frame(b"error:500", b"no"),
        Frame(b"error:500", b"{}"),
        Frame(b"error:", b""),
        Frame(b"exception:", b""),
        Frame(b"chunk", b"\x00\xff"),
        Frame(b"", b""),
    ]
    for chunks in every_split(body):
        assert read(chunks) == (frames, 0, 0, False)


def test_a_frame_comes_with_the_byte_that_ends_it() -> None:
    stream = EventStream()
    steps = [stream.feed(chunk) for chunk in (A[:5], A[5:-1], A[-1:] + B + C[:12], C[12:])]
    assert steps == [[], [], [FRAME_A, FRAME_B], [FRAME_C]]


TEXTS = st.text(max_size=8)
NAMES = TEXTS | st.sampled_from([":event-type", ":message-type", ":exception-type", ":error-code", ":error-message"])
STRINGS = TEXTS | st.sampled_from(["event", "exception", "error", "metadata"])
VALUES = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.just(b"")),
    *(
        st.tuples(st.just(kind), st.binary(min_size=width, max_size=width))
        for kind, width in ((2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16))
    ),
    st.tuples(st.just(6), st.binary(max_size=8).map(sized)),
    *[st.tuples(st.just(7), STRINGS.map(lambda text: sized(text.encode())))] * 4,
)
BLOCKS = st.dictionaries(NAMES, VALUES, max_size=6).map(
    lambda headers: b"".join(header(name, kind, value) for name, (kind, value) in headers.items())
)
MESSAGES = st.builds(message, BLOCKS, st.binary(max_size=40))


@given(st.lists(MESSAGES, max_size=5).map(b"".join).flatmap(splits))
def test_messages_of_all_header_types_are_what_botocore_sees(chunks: list[bytes]) -> None:
    assert read(chunks) == (by_botocore(chunks), 0, 0, False)


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), st.binary(max_size=40))
def test_what_is_encoded_botocore_decodes(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(encode(headers, payload))
    assert [(decoded.headers, decoded.payload) for decoded in buffer] == [(headers, payload)]


def test_what_cannot_be_encoded_is_refused() -> None:
    assert read([encode({"n" * 255: "v" * 65535}, b"")])[0] == [Frame(b"", b"")]
    with pytest.raises(OverflowError):
        encode({"n" * 256: ""}, b"")
    with pytest.raises(OverflowError):
        encode({"n": "v" * 65536}, b"")


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_recordings_are_what_botocore_sees(case: Case) -> None:
    frames = by_botocore([case.body])
    assert frames
    random = Random(case.id)
    for chunks in ([case.body], split_at(case.body, range(len(case.body))), random_split(case.body, random)):
        assert read(chunks) == (frames, 0, 0, False)


def test_there_are_recordings() -> None:
    assert {case.wire_dialect for case in CASES} == {"bedrock.converse-stream", "bedrock.invoke-with-response-stream"}


@pytest.mark.parametrize("at", range(len(B)))
def test_a_changed_byte_costs_its_message_or_in_its_prelude_the_rest(at: int) -> None:
    damaged = A + B[:at] + bytes([B[at] ^ 0x41]) + B[at + 1 :] + C
    frames = [FRAME_A] if at < 12 else [FRAME_A, FRAME_C]
    for chunks in ([damaged], split_at(damaged, range(len(damaged))), [damaged[: len(A) + 12], damaged[len(A) + 12 :]]):
        assert read(chunks) == (frames, 1, 0, False)


IMPOSSIBLE = {
    "nothing": (0, 0),
    "less than a prelude": (11, 0),
    "less than both checksums": (15, 0),
    "headers over the message": (20, 5),
    "headers over everything": (20, 0xFFFFFFFF),
}


@pytest.mark.parametrize(("total", "headers"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_after_an_impossible_length_the_rest_is_given_up_and_not_held(total: int, headers: int) -> None:
    body = A + message(b"", b"", total, headers) + B + C
    for chunks in every_split(body):
        assert read(chunks) == ([FRAME_A], 1, 0, False)
    stream = EventStream()
    stream.feed(body)
    assert stream.feed(bytes(100_000)) == []
    assert len(stream._held) == 0


MALFORMED = {
    "a name over the end": b"\x05abc",
    "no type": b"\x01a",
    "an unknown type": b"\x01a\x0a",
    "another": b"\x01a\xff",
    "half an integer": b"\x01a\x05\x00\x00\x00",
    "half a UUID": b"\x01a\x09" + bytes(15),
    "no length": b"\x01a\x07",
    "half a length": b"\x01a\x07\x00",
    "a string over the end": b"\x01a\x07\x00\x04abc",
    "bytes over the end": b"\x01a\x06\xff\xffabc",
    "a good one before": header(":event-type", 7, sized(b"metadata")) + b"\x01",
}


@pytest.mark.parametrize("block", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_headers_cost_their_message(block: bytes) -> None:
    for chunks in every_split(A + message(block) + C):
        assert read(chunks) == ([FRAME_A, FRAME_C], 1, 0, False)


def test_of_two_headers_of_one_name_the_last_counts_and_only_strings_do() -> None:
    block = b"".join((
        header(":event-type", 7, sized(b"chunk")),
        header(":event-type", 7, sized(b"metadata")),
        header(":message-type", 6, sized(b"exception")),
    ))  # fmt: skip
    assert read([message(block)]) == ([Frame(b"metadata", b"{}")], 0, 0, False)


def test_a_message_over_the_bound_is_passed_over_and_the_next_one_found() -> None:
    for chunks in every_split(A + event("contentBlockDelta", b"x" * 60) + C):
        assert read(chunks, bound=120) == ([FRAME_A, FRAME_C], 0, 1, False)


def test_the_bound_is_the_longest_message_that_is_kept() -> None:
    assert read([B], bound=len(B)) == ([FRAME_B], 0, 0, False)
    assert read([B], bound=len(B) - 1) == ([], 0, 1, False)


@pytest.mark.parametrize("cut", [1, 11, 12, 13, len(B) - 1])
def test_a_stream_that_ends_inside_a_message_is_unterminated_7_8(cut: int) -> None:
    for chunks in every_split(A + B[:cut]):
        assert read(chunks) == ([FRAME_A], 0, 0, True)


def test_a_stream_that_ends_inside_an_oversize_message_is_unterminated() -> None:
    for chunks in every_split(A + event("contentBlockDelta", b"x" * 60)[:-1]):
        assert read(chunks, bound=120) == ([FRAME_A], 0, 1, True)


def test_the_longest_length_there_is_holds_nothing_7_7() -> None:
    stream = EventStream()
    stream.feed(message(b"", b"", 0xFFFFFFFF))
    for _ in range(100):
        assert stream.feed(bytes(64 * 1024)) == []
        assert len(stream._held) == 0
    assert (stream.oversize, stream.corrupt) == (1, 0)


def test_a_message_as_long_as_the_bound_is_kept_whole_in_small_chunks() -> None:
    payload = bytes(MAX_FRAME_BYTES - len(event("chunk", b"")))
    body = event("chunk", payload)
    stream = EventStream()
    frames = [frame for at in range(0, len(body), 65_521) for frame in stream.feed(body[at : at + 65_521])]
    assert frames == [Frame(b"chunk", payload)]


@given(mixtures(A, B, C, A[:12], message(b"", b"", 7), message(b"\x01"), bytes(16), most=6), st.integers(0, 150))
def test_every_split_of_any_bytes_means_the_same_under_any_bound(body: bytes, bound: int) -> None:
    outcomes = [read(chunks, bound) for chunks in every_split(body)]
    assert all(outcome == outcomes[0] for outcome in outcomes)
