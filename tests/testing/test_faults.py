from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from headgate.testing.faults import (
    Corrupt,
    Cut,
    Delay,
    Fault,
    HalfClose,
    Pass,
    Reset,
    Script,
    Stall,
    Step,
    Trickle,
    Way,
)
from headgate.testing.splits import every_split
from tests.strategies import splits

SAID = b"0123456789"


def steps(script: Script, pieces: list[bytes]) -> list[Step]:
    """What a way does with these pieces; bytes that pass without anything between them are one step."""
    way = Way(script)
    found = [step for piece in (b"", *pieces) for step in way.feed(piece)]
    joined: list[Step] = []
    for passing, group in groupby(found, key=lambda step: isinstance(step, Pass)):
        some = list(group)
        joined += [Pass(b"".join(step.data for step in some if isinstance(step, Pass)))] if passing else some
    return joined


def test_each_fault_does_what_it_says() -> None:
    table: list[tuple[Script, list[Step]]] = [
        ((), [Pass(SAID)]),
        ((Delay(4, 0.5),), [Pass(b"0123"), Delay(4, 0.5), Pass(b"456789")]),
        ((Corrupt(0, 1),), [Pass(b"1123456789")]),
        ((Corrupt(9, 0xFF),), [Pass(b"012345678\xc6")]),
        ((Corrupt(10),), [Pass(SAID)]),
        ((Stall(3),), [Pass(b"012"), Stall(3), Pass(b"3456789")]),
        ((HalfClose(0),), [HalfClose(0)]),
        ((Cut(3), Reset(3), Stall(2)), [Pass(b"01"), Stall(2), Pass(b"2"), Cut(3)]),
        ((Reset(10),), [Pass(SAID), Reset(10)]),
        ((Reset(11),), [Pass(SAID)]),
        ((Trickle(2, 3, 0.1),), [Pass(b"01234"), Delay(5, 0.1), Pass(b"567"), Delay(8, 0.1), Pass(b"89")]),
        ((Trickle(0, 4), Trickle(4, 2, 1.0), Cut(6)), [Pass(b"012345"), Delay(6, 1.0), Cut(6)]),
    ]
    for script, expected in table:
        for pieces in every_split(SAID):
            assert steps(script, pieces) == expected, (script, pieces)


def test_a_trickle_lets_so_many_bytes_pass_at_a_time() -> None:
    way = Way((Trickle(1, 4),))
    assert list(way.feed(SAID)) == [Pass(b"0"), Pass(b"1234"), Pass(b"5678"), Pass(b"9")]


AT = st.integers(0, 12)
FAULTS: st.SearchStrategy[Fault] = st.one_of(
    st.builds(Delay, AT, st.just(0.1)),
    st.builds(Trickle, AT, st.integers(1, 5), st.sampled_from([0.0, 0.2])),
    st.builds(Corrupt, AT, st.integers(1, 255)),
    st.builds(Stall, AT),
    st.builds(HalfClose, AT),
    st.builds(Cut, AT),
    st.builds(Reset, AT),
)


@given(st.lists(FAULTS, max_size=5).map(tuple), splits(SAID))
def test_the_same_script_does_the_same_however_the_bytes_come(script: Script, pieces: list[bytes]) -> None:
    assert steps(script, pieces) == steps(script, [SAID])
    ends = [step for step in steps(script, pieces) if isinstance(step, HalfClose | Cut | Reset)]
    assert len(ends) <= 1
    assert not ends or steps(script, pieces)[-1] is ends[0]
