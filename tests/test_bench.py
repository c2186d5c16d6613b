"""The pure parts of the benchmark: what is asked and expected, statistics, configurations, the report. Never a time."""

import asyncio
import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
import pytest

from bench import load, machine, observers, report, script, targets
from bench import upstream as scripted
from bench.figures import FIGURES, Figure, Results, Spread, percentile, ratios, shown, spread
from bench.load import Load
from bench.machine import Cores
from bench.profiling import Share, shares
from bench.script import Script


class TestScript:
    @pytest.mark.parametrize("asked", [Script(), Script(10, 50), Script(140, 20, 300)])
    @pytest.mark.parametrize("ask_usage", [False, True])
    def test_an_upstream_reads_back_what_was_asked(self, asked: Script, *, ask_usage: bool) -> None:
        body = script.request_body(asked, ask_usage=ask_usage)
        assert script.script_of(body) == (asked, ask_usage)
        assert json.loads(body).get("stream", False) is bool(asked.chunks)

    def test_a_model_of_another_kind_names_no_script(self) -> None:
        with pytest.raises(ValueError, match="names no script"):
            script.script_of(b'{"model": "gpt-4o"}')

    def test_the_document_is_one_kilobyte_with_usage(self) -> None:
        assert len(script.document()) == 1024
        assert json.loads(script.document())["usage"]["total_tokens"] == 370

    def test_all_content_frames_have_one_size_and_differ(self) -> None:
        frames = script.content_frames(1000)
        assert {len(frame) for frame in frames} == {script.FRAME_SIZE}
        assert len(set(frames)) == 1000

    def test_the_usage_frame_comes_after_the_finish_and_only_when_asked_for(self) -> None:
        asked = [_event(frame) for frame in _frames(script.expected_body(Script(3, 10), ask_usage=True))]
        unasked = [_event(frame) for frame in _frames(script.expected_body(Script(3, 10)))]
        usage = asked.pop(-2)
        assert usage is not None
        assert usage["choices"] == []
        assert usage["usage"]["completion_tokens"] == 3
        assert asked == unasked
        assert asked[-1] is None
        assert asked[-2] is not None
        assert asked[-2]["choices"][0]["finish_reason"] == "stop"


class TestUpstream:
    @pytest.mark.parametrize("usage", [False, True])
    def test_a_stream_is_an_http_answer_with_the_expected_body(self, *, usage: bool) -> None:
        received = _received(b"".join(scripted.stream_writes(5, usage=usage)))
        assert received == script.expected_body(Script(5, 10), ask_usage=usage)

    def test_a_document_is_too(self) -> None:
        assert _received(scripted.document_write()) == script.document()


class TestLoad:
    async def test_right_answers_count_on_every_lane(self) -> None:
        asked = Script(4, 500, first_ms=1)
        with targets.upstream(frozenset(os.sched_getaffinity(0))) as direct:
            async with load.running(direct.port, Load(asked, 5, think=None)) as tally:
                pass
        assert (tally.right, tally.failures, len(tally.first_bytes)) == (5, 0, 5)
        assert tally.body_bytes == 5 * len(script.expected_body(asked))

    async def test_a_timed_lane_tells_of_every_frame_how_late_it_was(self) -> None:
        with targets.upstream(frozenset(os.sched_getaffinity(0))) as direct:
            async with load.running(direct.port, Load(Script(8, 100), 3, think=None, timed=True)) as tally:
                pass
        assert [len(times) for times in tally.offsets.values()] == [9] * 3, "eight frames, and the end"
        lateness = tally.lateness()
        assert (len(lateness), lateness.count(0) >= 3, min(lateness)) == (27, True, 0)

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
    async def test_a_wrong_answer_never_counts(self, spoil: Callable[[bytes], bytes]) -> None:
        answer = spoil(b"".join(scripted.stream_writes(4, usage=False)))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"}]")
            writer.write(answer)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with load.running(port, Load(Script(4, 500), 3, think=None)) as tally:
                pass
        assert (tally.right, tally.failures) == (0, 3)

    def test_a_snapshot_stays_and_a_restart_forgets_the_times(self) -> None:
        tally = load.Tally([1, 2], [1, 1], body_bytes=9, right=2, failures=1)
        seen = tally.snapshot()
        tally.restart()
        assert seen == load.Tally([1, 2], [1, 1], body_bytes=9, right=2, failures=1)
        assert tally == load.Tally([], [], body_bytes=0, right=2, failures=1)

    def test_pauses(self) -> None:
        once, never, random = (Load(Script(), 5, think=think).pauses() for think in (None, 0.0, 0.5))
        assert once is None
        assert never is not None
        assert never() == 0
        assert random is not None
        assert len({random() for _ in range(9)}) == 9
        assert all(0 <= random() < 0.5 for _ in range(99))


class TestMachine:
    @pytest.mark.parametrize(
        ("available", "cores"),
        [([5], (5, 5, 5)), ([1, 0], (0, 1, 1)), ([0, 1, 2], (0, 1, 2)), ([7, 6, 5, 4], (4, 5, 6))],
    )
    def test_the_target_has_a_core_of_its_own_if_there_are_two(
        self, available: list[int], cores: tuple[int, int, int]
    ) -> None:
        target, upstream, generator = cores
        assert machine.share_out(available) == Cores(frozenset({target}), frozenset({upstream}), frozenset({generator}))


class TestFigures:
    @pytest.mark.parametrize(
        ("values", "percent", "expected"),
        [
            ([], 50, None),
            ([7], 99, 7),
            ([3, 1, 2], 50, 2),
            ([4, 3, 2, 1], 50, 2),
            (range(1, 101), 99, 99),
            ([1, 2], 0, 1),
        ],
    )
    def test_percentile_is_the_nearest_rank(self, values: list[int], percent: float, expected: int | None) -> None:
        assert percentile(values, percent) == expected

    def test_spread_is_of_the_rounds_that_gave_a_value(self) -> None:
        assert spread([3.0, None, 1.0, 8.0]) == Spread(3.0, 1.0, 8.0)
        assert spread([None]) is None

    def test_ratios_pair_the_rounds_and_divide_by_nothing_doubtful(self) -> None:
        assert ratios([6.0, 9.0, 5.0, None, 4.0], [2.0, 3.0, 0.0, 1.0, -1.0]) == [3.0, 3.0, None, None, None]

    def test_an_added_figure_is_over_the_same_rounds_direct(self) -> None:
        values: dict[str, list[float | None]] = {"direct": [10.0, 20.0], "nginx": [11.0, 25.0], "late": [None, 21.0]}
        added = Figure("x", "x", over_direct=True)
        assert shown(added, values, "nginx") == [1.0, 5.0]
        assert shown(added, values, "late") == [None, 1.0]
        assert shown(added, values, "direct") == [10.0, 20.0]
        assert shown(Figure("x", "x"), values, "nginx") == [11.0, 25.0]

    def test_every_figure_has_a_name_of_its_own(self) -> None:
        assert len({figure.key for figure in FIGURES}) == len({figure.label for figure in FIGURES}) == len(FIGURES)


class TestTargets:
    def test_nginx_is_an_unbuffered_proxy_with_everything_in_its_own_folder(self) -> None:
        config = targets.nginx_config(Path("/bench/x"), 1111, 2222)
        for line in ("listen 127.0.0.1:1111 backlog=2048;", "server 127.0.0.1:2222;", "proxy_buffering off;"):
            assert line in config
        assert config.count("{") == config.count("}")
        paths = [line.split()[1] for line in config.splitlines() if "_path" in line or line.startswith("pid")]
        assert len(paths) == 6
        assert all(path.startswith("/bench/x/") for path in paths)

    def test_headgate_keeps_its_records_in_its_own_folder(self) -> None:
        config = tomllib.loads(targets.headgate_config(Path("/bench/x"), 1111, 2222))
        assert config["listen"] == "127.0.0.1:1111"
        assert config["database"] == "/bench/x/headgate.db"
        assert config["fallback"] in config["providers"]
        assert config["providers"]["scripted"]["base_url"] == "http://127.0.0.1:2222/v1"


class TestReport:
    def test_a_row_shows_medians_ranges_and_the_ratio_round_by_round(self) -> None:
        lines = report.table(_results(), ["nginx", "headgate"]).splitlines()
        assert lines[0] == "|  | direct | nginx | headgate | headgate / nginx |"
        assert lines[1].count("|") == lines[0].count("|")
        assert len(lines) == 2 + len(FIGURES)
        cpu = next(line for line in lines if line.startswith("| CPU µs per request, 10"))
        assert cpu.endswith("| - | 20.0 (10.0 to 30.0) | 60.0 (30.0 to 90.0) | **3.00** (3.00 to 3.00) |")
        first = next(line for line in lines if "first token, p50" in line)
        assert first.endswith("| base 50 (50 to 50) | 10 (10 to 10) | 40 (40 to 40) | **4.00** (4.00 to 4.00) |")
        close = next(line for line in lines if "first token, p99" in line)
        assert close.endswith("| base 100 (100 to 100) | 4 (4 to 4) | 30 (30 to 30) | - |")
        assert next(line for line in lines if "1000 open streams" in line).endswith("| - | - | - | - |")

    def test_the_noise_and_what_went_wrong_are_told(self) -> None:
        told = report.text(_results(), ["nginx", "headgate"], {"kernel": "Linux x"})
        assert "- kernel: Linux x\n- noise: direct's requests/s at 10 connections spread over 20%" in told
        assert "nginx 7, headgate 1,008. Of them metered and recorded: headgate 1,007." in told
        assert "- headgate: 3 wrong or broken answers, not counted\n- headgate metered 1007 of 1008 answers" in told
        assert "nginx: 0" not in told
        assert "unknown" in report.noise(Results())

    def test_the_json_has_every_value_of_every_round(self) -> None:
        told = json.loads(report.as_json(_results(), {"mode": "quick"}))
        assert told["about"] == {"mode": "quick"}
        assert told["values"]["first_p50_us"] == {"direct": [50, 50], "nginx": [60, 60], "headgate": [90, 90]}
        assert (told["failures"]["headgate"], told["metered"]["headgate"]) == (3, 1007)

    def test_the_page_keeps_all_but_what_is_between_its_markers(self) -> None:
        page = "# A\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nrest\n"
        assert report.with_report(page, "new\n") == "# A\n<!-- bench: begin -->\n\nnew\n\n<!-- bench: end -->\nrest\n"
        for broken in ("", "<!-- bench: end --><!-- bench: begin -->", page + page):
            with pytest.raises(ValueError, match="each once"):
                report.with_report(broken, "new")

    def test_the_projects_own_page_has_the_markers(self) -> None:
        page = (Path(__file__).parent.parent / "docs" / "performance.md").read_text()
        assert "\n\nreport\n\n" in report.with_report(page, "report")


def test_shares_count_a_function_once_a_stack() -> None:
    folded = "main;run;parse;parse 6\nmain;run 2\nmain;x;parse 2\n"
    main, *others = shares(folded)
    assert main == Share("main", 0, 1)
    assert {share.function: (share.own, share.total) for share in others} == {
        "parse": (0.8, 0.8),
        "run": (0.2, 0.8),
        "x": (0, 0.2),
    }


def _results() -> Results:
    results = Results()
    results.add("direct", rps_c10=90.0, first_p50_us=50, first_p99_us=100)
    results.add("direct", rps_c10=110.0, first_p50_us=50, first_p99_us=100)
    for cpu in (10.0, 30.0):
        results.add("nginx", cpu_us_c10=cpu, first_p50_us=60, first_p99_us=104)
        results.add("headgate", cpu_us_c10=3 * cpu, first_p50_us=90, first_p99_us=130)
    results.count("nginx", 7, 0)
    results.count("headgate", 1008, 3)
    results.metered["headgate"] = 1007
    results.notes.append("headgate metered 1007 of 1008 answers")
    return results


def _frames(body: bytes) -> list[bytes]:
    assert body.endswith(b"\n\n")
    return body.split(b"\n\n")[:-1]


def _event(frame: bytes) -> dict[str, Any] | None:
    data = frame.removeprefix(b"data: ")
    return None if data == b"[DONE]" else json.loads(data)


def _received(answer: bytes) -> bytes:
    body = bytearray()

    class Receiver:
        whole = False

        def on_body(self, piece: bytes) -> None:
            body.extend(piece)

        def on_message_complete(self) -> None:
            self.whole = True

    receiver = Receiver()
    httptools.HttpResponseParser(receiver).feed_data(answer)
    assert receiver.whole
    return bytes(body)


def test_each_observer_is_measured() -> None:
    names = [name for name, micros in observers.rows(3) if micros > 0]
    assert len(names) == len(set(names)) == 9
