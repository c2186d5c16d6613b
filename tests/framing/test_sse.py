"""The parser against a table of wire forms, an independent reading of the standard, and every split of both."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.framing.base import Frame
from headgate.framing.sse import Blocks, Part, ServerSentEvents, parse_block
from headgate.testing.splits import every_split
from tests.strategies import mixtures, splits


def read(chunks: list[bytes], bound: int = 1 << 20) -> tuple[list[Frame], int, bool]:
    events = ServerSentEvents(bound)
    frames = [frame for chunk in chunks for frame in events.feed(chunk)] + events.end()
    return frames, events.oversize, events.unterminated


def by_the_standard(body: bytes) -> tuple[list[Frame], list[Frame]]:
    """The events of a whole body, read line by line as the WHATWG standard has it, and the one its end cuts short."""
    lines = re.split(rb"\r\n|\r|\n", body.removeprefix(b"\xef\xbb\xbf"))
    rest = lines.pop()
    frames: list[Frame] = []
    event, data = b"", b""

    def field(line: bytes) -> None:
        nonlocal event, data
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"event":
            event = value
        if name == b"data":
            data += value + b"\n"

    for line in lines:
        if line:
            field(line)
            continue
        if data:
            frames.append(Frame(event, data[:-1]))
        event, data = b"", b""
    if rest:
        field(rest)
    return frames, [Frame(event, data[:-1])] if data else []


def data(*payloads: bytes) -> list[Frame]:
    return [Frame(b"", payload) for payload in payloads]


WIRE = {
    "LF": (b"data: a\n\ndata: b\n\n", data(b"a", b"b")),
    "CRLF (8.1)": (b"data: a\r\n\r\ndata: b\r\n\r\n", data(b"a", b"b")),
    "bare CR (8.3)": (b"data: a\r\rdata: b\r\r", data(b"a", b"b")),
    "mixed (8.4)": (b"data: a\n\r\ndata: b\r\n\ndata: c\r\ndata: d\n\n\n", data(b"a", b"b", b"c\nd")),
    "CR and CRLF are two lines": (b"data: a\r\r\ndata: b\n\n", data(b"a", b"b")),
    "no space (8.5)": (b'data:{"a":1}\n\ndata:[DONE]\n\n', data(b'{"a":1}', b"[DONE]")),
    "one space only": (b"data:  a \n\n", data(b" a ")),
    "byte order mark (8.6)": (b"\xef\xbb\xbfdata: a\n\n", data(b"a")),
    "mark before a blank line": (b"\xef\xbb\xbf\n\ndata: a\n\n", data(b"a")),
    "a mark later is none": (b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n", data(b"a", b"c")),
    "one mark is dropped, not two": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", data(b"b")),
    "multi-line (8.7)": (b'data: {"a":\ndata: 1}\n\n', data(b'{"a":\n1}')),
    "UTF-8 is left alone (8.8)": ("data: 邃é\n\n".encode(), data("邃é".encode())),
    "other separators (8.9)": (
        "data: \u2028\u2029\u0085\v\f\x1c\n\n".encode(),
        data("\u2028\u2029\u0085\v\f\x1c".encode()),
    ),
    "comments (8.10, 8.11)": (b": OPENROUTER PROCESSING\n\n:\n\ndata: a\n: b\ndata: c\n\n", data(b"a\nc")),
    "event names": (b"event: a\ndata: b\n\nevent:c\ndata: d\n\n", [Frame(b"a", b"b"), Frame(b"c", b"d")]),
    "a name is for one event": (b"event: a\ndata: b\n\ndata: c\n\n", [Frame(b"a", b"b"), Frame(b"", b"c")]),
    "the name may come last, and the last counts": (b"event: a\ndata: b\nevent: c\n\n", [Frame(b"c", b"b")]),
    "id and retry do not matter": (b"id: 1\nevent: a\ndata: b\nretry: 9\n\n", [Frame(b"a", b"b")]),
    "a name without data is no event": (b"event: a\n\ndata: b\n\n", data(b"b")),
    "data without a colon": (b"data\n\ndata\ndata\n\n", data(b"", b"\n")),
    "empty data": (b"data:\n\ndata: \n\n", data(b"", b"")),
    "unknown fields": (b"datas: x\nDATA: x\n data: x\ndata : x\ndata: a\n\n", data(b"a")),
    "a CR within": (b"data: a\n\ndata: b\rdata: c\n\n", data(b"a", b"b\nc")),
    "one space only, of names too": (b"event:  a \nid: 1\ndata: b\n\n", [Frame(b" a ", b"b")]),
    "a colon in the value": (b"data: a: b\n\n", data(b"a: b")),
    "more blank lines": (b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", data(b"a", b"b")),
    "NUL": (b"data: \x00\n\nda\x00ta: b\n\ndata: c\n\n", data(b"\x00", b"c")),
    "nothing": (b"", []),
}  # fmt: skip


@pytest.mark.parametrize(("body", "frames"), WIRE.values(), ids=WIRE.keys())
def test_wire_forms_give_the_same_frames_at_every_split(body: bytes, frames: list[Frame]) -> None:
    for chunks in every_split(body):
        assert read(chunks) == (frames, 0, False)


CUT_SHORT = {
    "no line end": (b"data: a\n\ndata: b", data(b"a", b"b"), True),
    "no blank line (8.12)": (b"data: a\n\ndata: b\n", data(b"a", b"b"), True),
    "no blank line, CRLF": (b"data: b\r\n", data(b"b"), True),
    "no blank line, CR": (b"data: b\r", data(b"b"), True),
    "half the blank line's CRLF": (b"data: b\r\n\r", data(b"b"), False),
    "mid name": (b"data: a\n\nda", data(b"a"), True),
    "a name only": (b"event: a\n", [], True),
    "half JSON": (b'data: {"a', data(b'{"a'), True),
    "mid comment": (b"data: a\n\n: keep-al", data(b"a"), False),
    "a comment": (b"data: a\n\n: keep-alive\r", data(b"a"), False),
    "a comment, then a field": (b": a\rdata: b", data(b"b"), True),
    "after a byte order mark": (b"\xef\xbb\xbfdata: a", data(b"a"), True),
}


@pytest.mark.parametrize(("body", "frames", "unterminated"), CUT_SHORT.values(), ids=CUT_SHORT.keys())
def test_an_unterminated_event_is_given_at_the_end_and_told(
    body: bytes, frames: list[Frame], *, unterminated: bool
) -> None:
    for chunks in every_split(body):
        assert read(chunks) == (frames, 0, unterminated)


def test_a_frame_comes_with_the_chunk_that_ends_it() -> None:
    events = ServerSentEvents()
    steps = [events.feed(chunk) for chunk in (b"data: a", b"\n", b"\nda", b"ta: b\r\n", b"\r\n", b": ping\n\n")]
    assert steps == [[], [], data(b"a"), [], data(b"b"), []]


def test_a_cr_at_the_end_of_a_chunk_waits_for_the_byte_that_tells_what_it_is() -> None:
    events = ServerSentEvents()
    assert [events.feed(c) for c in (b"data: a\r", b"\ndata: b\r", b"\r", b"d")] == [[], [], [], data(b"a\nb")]


STREAMS = mixtures(
    b"\n", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"data", b":", b" ", b"data: x", b"data:y\n\n", b"data: z\n\n",
    b"event: e\n", b": c", b"\xef\xbb\xbf", b"id: 1",
)  # fmt: skip


@given(STREAMS.flatmap(lambda body: st.tuples(st.just(body), splits(body))))
def test_any_bytes_at_any_split_are_read_as_the_standard_has_it(case: tuple[bytes, list[bytes]]) -> None:
    body, chunks = case
    frames, last = by_the_standard(body)
    assert read(chunks)[0] == frames + last


@given(STREAMS, st.integers(0, 12))
def test_every_split_of_any_bytes_means_the_same_under_any_bound(body: bytes, bound: int) -> None:
    outcomes = [read(chunks, bound) for chunks in every_split(body)]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(STREAMS, st.integers(0, 12))
def test_blocks_lose_no_byte_and_whole_ones_are_the_same_at_every_split(body: bytes, bound: int) -> None:
    seen = []
    for chunks in every_split(body):
        blocks = Blocks(bound)
        out = [block for chunk in chunks for block in blocks.feed(chunk)]
        assert b"".join(out) + blocks.pending == body
        assert len(blocks.pending) <= bound
        whole = [block for block in out if not isinstance(block, Part)]
        assert all(len(block) <= bound for block in whole)
        seen.append((whole, blocks.oversize, blocks.within_oversize, blocks.between, blocks.pending))
    assert all(each == seen[0] for each in seen)


def test_blocks_are_the_raw_bytes_up_to_the_blank_line() -> None:
    blocks = Blocks(bound=100)
    assert blocks.feed(b": a\n\nevent: b\r\ndata: c\r\n\r\nda") == [b": a\n\n", b"event: b\r\ndata: c\r\n\r\n"]
    assert (blocks.pending, blocks.between) == (b"da", False)
    assert blocks.feed(b"ta\n\n") == [b"data\n\n"]
    assert (blocks.pending, blocks.between) == (b"", True)


def test_a_block_over_the_bound_is_handed_on_in_parts_and_the_next_one_is_whole_again() -> None:
    blocks = Blocks(bound=10)
    steps = [blocks.feed(chunk) for chunk in (b"data: ", b"123456", b"789\n", b"\ndata: a\n\n")]
    assert steps == [[], [b"data: 123456"], [b"789\n"], [b"\n", b"data: a\n\n"]]
    assert [[isinstance(block, Part) for block in step] for step in steps] == [[], [True], [True], [True, False]]
    assert (blocks.oversize, blocks.within_oversize) == (1, False)


def test_a_block_that_ends_in_cr_can_be_had_before_the_next_byte() -> None:
    blocks = Blocks(bound=100)
    assert (blocks.feed(b"data: a\r"), blocks.ripe) == ([], b"")
    assert (blocks.feed(b"\r"), blocks.ripe) == ([], b"data: a\r\r")
    assert (blocks.release(), blocks.pending) == (b"data: a\r\r", b"")
    assert blocks.feed(b"\ndata: b\n\r") == [b"\n"]
    assert blocks.release() == b"data: b\n\r"
    assert [block for block in blocks.feed(b"data: c\n\n") if block] == [b"data: c\n\n"]


OVERSIZE: dict[str, Callable[[bytes], bytes]] = {
    "LF": lambda long: b"data: " + long + b"\n\ndata: a\n\n",
    "CRLF": lambda long: b"data: " + long + b"\r\n\r\ndata: a\r\n\r\n",
    "CR": lambda long: b"data: " + long + b"\r\rdata: a\r\r",
    "comment": lambda long: b": " + long + b"\n\ndata: a\n\n",
    "many lines": lambda long: b"data: 1\n" * (len(long) // 8) + b"\ndata: a\n\n",
    "behind a byte order mark": lambda long: b"\xef\xbb\xbfdata: " + long + b"\n\ndata: a\n\n",
}


@pytest.mark.parametrize("body", OVERSIZE.values(), ids=OVERSIZE.keys())
def test_an_event_over_the_bound_is_passed_over_and_the_next_one_found(body: Callable[[bytes], bytes]) -> None:
    for chunks in every_split(body(b"x" * 80)):
        assert read(chunks, bound=64) == (data(b"a"), 1, False)


def test_an_event_over_the_bound_in_a_chunk_of_its_own_is_passed_over_too() -> None:
    assert read([b"data: a\n\n", b"data: 123\n\n", b"data: b\n\n"], bound=9) == (data(b"a", b"b"), 1, False)


def test_a_stream_that_ends_inside_an_oversize_event_is_unterminated() -> None:
    for chunks in every_split(b"data: a\n\ndata: " + b"x" * 80):
        assert read(chunks, bound=64) == (data(b"a"), 1, True)


def test_a_64_mib_line_in_small_chunks_is_passed_over_without_being_held() -> None:
    events = ServerSentEvents()
    held = 0
    chunk = b"x" * (16 * 1024)
    for _ in range(4096):
        assert events.feed(chunk) == []
        held = max(held, len(events._blocks.pending) if events.oversize else 0)
    assert (held, events.oversize) == (0, 1)
    assert events.feed(b"\n\ndata: a\n\n") == data(b"a")


@pytest.mark.parametrize("size", [64 * 1024, 1024 * 1024, 4 * 1024 * 1024, 31 * 1024 * 1024])
def test_long_lines_under_the_bound_are_kept_whole_8_13(size: int) -> None:
    line = bytes(size).replace(b"\0", b"x")
    events = ServerSentEvents()
    body = b"data: " + line + b"\n\n"
    frames = [frame for at in range(0, len(body), 65_521) for frame in events.feed(body[at : at + 65_521])]
    assert frames == data(line)


def test_parse_block_reads_an_unfinished_block_as_it_stands() -> None:
    assert parse_block(b"event: a\ndata: b\r") == Frame(b"a", b"b")
    assert parse_block(b"data: b") == Frame(b"", b"b")
    assert parse_block(b"event: a\n") is None
    assert parse_block(b"") is None
