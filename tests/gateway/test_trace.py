"""A trace as it comes in and goes on."""

import pytest

from headgate.gateway.trace import Trace, parent_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())


def given(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"traceparent", text.encode())]


def test_the_clients_span() -> None:
    trace = parent_of([(b"x", b"1"), PARENT, (b"tracestate", b"a=1"), (b"tracestate", b"b=2")])
    assert trace == Trace(int(TRACE, 16), int(SPAN, 16), flags=1, state=b"a=1,b=2")
    assert trace.sampled


@pytest.mark.parametrize(
    ("flags", "kept", "sampled"),
    [("00", 0, False), ("01", 1, True), ("02", 2, False), ("03", 3, True), ("ff", 3, True)],
)
def test_flags_that_are_known(flags: str, kept: int, sampled: bool) -> None:
    trace = parent_of(given(f"00-{TRACE}-{SPAN}-{flags}"))
    assert trace is not None
    assert (trace.flags, trace.sampled) == (kept, sampled)


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert parent_of(given(f"01-{TRACE}-{SPAN}-01-and-more")) == parent_of([PARENT])
    assert parent_of(given(f" 01-{TRACE}-{SPAN}-01\t")) == parent_of([PARENT])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [PARENT, PARENT],
        given(""),
        given(f"ff-{TRACE}-{SPAN}-01"),
        given(f"00-{TRACE}-{SPAN}-01-more"),
        given(f"00-{TRACE}-{SPAN}-1"),
        given(f"00-{TRACE.upper()}-{SPAN}-01"),
        given(f"00-{'0' * 32}-{SPAN}-01"),
        given(f"00-{TRACE}-{'0' * 16}-01"),
        given(f"00-{TRACE[1:]}-{SPAN}-01"),
        given(f"00-{TRACE}-{SPAN}"),
        given(f"00-{TRACE}-{SPAN}-01\nx"),
        given(f"x00-{TRACE}-{SPAN}-01"),
        [(b"tracestate", b"a=1")],
    ],
)
def test_what_names_no_span(headers: list[tuple[bytes, bytes]]) -> None:
    assert parent_of(headers) is None


def test_what_goes_on_names_this_span_in_the_place_of_the_clients() -> None:
    trace = Trace(int(TRACE, 16), 0xAB, int(SPAN, 16), 3, b"a=1,b=2")
    headers = [(b"x", b"1"), PARENT, (b"tracestate", b"a=1"), (b"tracestate", b"b=2"), (b"y", b"2")]
    assert trace.carried(headers) == [
        (b"x", b"1"), (b"y", b"2"),
        (b"traceparent", f"00-{TRACE}-00000000000000ab-03".encode()), (b"tracestate", b"a=1,b=2"),
    ]  # fmt: skip


def test_where_there_is_no_state_none_goes_on() -> None:
    trace = Trace(1, 2, flags=0)
    assert trace.carried([(b"tracestate", b"stale=1")]) == [(b"traceparent", b"00-%032x-%016x-00" % (1, 2))]


def test_what_goes_on_is_read_back() -> None:
    trace = Trace(2**128 - 1, 2**64 - 1, None, 3, b"a=1")
    assert parent_of(trace.carried([])) == trace
