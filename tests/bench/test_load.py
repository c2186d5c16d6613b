"""The load generator: what is right counts, what is wrong never does."""

import asyncio
import json
import os
from collections.abc import Callable

import pytest

from bench import load, script, targets
from bench import upstream as scripted
from bench.apis import WIRES
from bench.checking import ByMeaning, Check, ToTheByte, check_of
from bench.load import Door, Load
from bench.script import Script

ALL_CORES = frozenset(os.sched_getaffinity(0))


@pytest.mark.parametrize("api", sorted(WIRES))
@pytest.mark.parametrize("exact", [True, False])
async def test_right_answers_count_on_every_lane(api: str, *, exact: bool) -> None:
    asked = Script(4, 500, first_ms=1, api=api)
    with targets.upstream(ALL_CORES) as direct:
        async with load.running(Door(direct.port, exact), Load(asked, 5, think=None, counted=True)) as tally:
            pass
    assert (tally.right, tally.failures, len(tally.first_bytes)) == (5, 0, 5)
    assert tally.body_bytes == 5 * len(script.expected_body(asked))
    assert tally.chunks == 5 * 4 * (5 if api == "responses" else 1), "its last events say everything again"


async def test_a_timed_lane_tells_of_every_frame_how_late_it_was() -> None:
    with targets.upstream(ALL_CORES) as direct:
        async with load.running(direct.door, Load(Script(8, 100), 3, think=None, timed=True)) as tally:
            pass
    assert [len(times) for times in tally.offsets.values()] == [9] * 3, "eight frames, and the end"
    lateness = tally.lateness()
    assert (len(lateness), lateness.count(0) >= 3, min(lateness)) == (27, True, 0)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer.replace(b"token000001", b"token000002"),
        lambda answer: answer.replace(b"200 OK", b"500 No"),
        lambda answer: answer.replace(b"chunked", b"chunkey"),
        lambda answer: answer[:-20],
        lambda answer: answer[9:],
    ],
    ids=["a changed frame", "an error status", "no framing", "a cut", "another protocol"],
)
async def test_a_wrong_answer_never_counts(spoil: Callable[[bytes], bytes], *, exact: bool) -> None:
    answer = spoil(b"".join(scripted.stream_writes(Script(4, 500), usage=False)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}]")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with load.running(Door(port, exact), Load(Script(4, 500), 3, think=None)) as tally:
            pass
    assert (tally.right, tally.failures) == (0, 3)


class TestChecks:
    def judged(self, check: Check, *pieces: bytes) -> bool:
        check.begin()
        for piece in pieces:
            check.feed(piece)
        return check.right()

    def test_one_judges_to_the_byte_the_other_by_meaning(self) -> None:
        body = script.expected_body(Script())
        anew = json.dumps(json.loads(body), separators=(",", ":")).encode()
        exact, meaning = check_of(Script(), exact=True), check_of(Script(), exact=False)
        assert isinstance(exact, ToTheByte)
        assert isinstance(meaning, ByMeaning)
        assert [self.judged(check, body[:500], body[500:]) for check in (exact, meaning)] == [True, True]
        assert [self.judged(check, anew) for check in (exact, meaning)] == [False, True]

    @pytest.mark.parametrize(
        "body",
        [b"", b"{}", b"[]", b"null", b'{"choices": []}', script.expected_body(Script()).replace(b"170", b"171")],
    )
    def test_what_is_none_of_the_api_is_wrong(self, body: bytes) -> None:
        assert [self.judged(check_of(Script(), exact=exact), body) for exact in (True, False)] == [False, False]

    def test_the_next_answer_is_judged_afresh(self) -> None:
        body = script.expected_body(Script())
        for exact in (True, False):
            check = check_of(Script(), exact=exact)
            assert [self.judged(check, body[1:]), self.judged(check, body), self.judged(check, body, b" x")] == [
                False, True, False,
            ]  # fmt: skip


def test_a_snapshot_stays_and_a_restart_forgets_the_times() -> None:
    tally = load.Tally([1, 2], [1, 1], body_bytes=9, chunks=3, right=2, failures=1)
    seen = tally.snapshot()
    tally.restart()
    assert seen == load.Tally([1, 2], [1, 1], body_bytes=9, chunks=3, right=2, failures=1)
    assert tally == load.Tally([], [], body_bytes=0, right=2, failures=1)


def test_pauses() -> None:
    once, never, random = (Load(Script(), 5, think=think).pauses() for think in (None, 0.0, 0.5))
    assert once is None
    assert never is not None
    assert never() == 0
    assert random is not None
    assert len({random() for _ in range(9)}) == 9
    assert all(0 <= random() < 0.5 for _ in range(99))
