"""The replay upstream: its recordings against the corpus, its answers over a socket, its process."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.testing import corpus
from headgate.testing.replay import Recording, choose, play, recordings, replay
from headgate.testing.upstream import Pause, ScriptedUpstream
from headgate.usage import Usage
from tests.dialects import expected
from tests.testing.test_upstream import Answer, ask

ROOT = Path(__file__).parents[2]
CASES = {case.id: case for case in corpus.load(ROOT / "tests" / "corpus.tar.xz")}
each_recording = pytest.mark.parametrize("recording", recordings(), ids=lambda recording: recording.name)


@each_recording
def test_a_recording_is_the_corpus_case_it_names(recording: Recording) -> None:
    case = CASES[recording.case]
    assert case.verbatim
    assert recording.body == case.body
    assert (recording.content_type, recording.stream) == (case.content_type, case.stream)
    assert tuple(recording.chunk_lengths) == case.chunk_lengths
    assert expected.usage(case) == Usage(**recording.usage)


@each_recording
def test_a_recording_is_sent_whole(recording: Recording) -> None:
    assert b"".join(recording.pieces()) == recording.body
    assert recording.stream is (len(recording.pieces()) > 1)


@each_recording
def test_a_recording_is_attributed(recording: Recording) -> None:
    notice = (ROOT / "NOTICE").read_text()
    assert recording.name in notice
    for fact in ("repo", "path", "commit"):
        assert recording.source[fact] in notice


def test_the_recordings_stay_small() -> None:
    assert len(recordings()) <= 10
    assert sum(len(recording.body) for recording in recordings()) <= 300_000


@each_recording
def test_its_own_request_finds_it(recording: Recording) -> None:
    assert choose(f"/any/prefix/v1{recording.path}", json.dumps(recording.request).encode()) is recording


@pytest.mark.parametrize(
    ("path", "request_body", "name"),
    [
        ("/v1/chat/completions", {"model": "mine", "stream": True}, "openai-chat.sse"),
        ("/v1/chat/completions", {"model": "mine"}, "openai-chat.json"),
        ("/v1/chat/completions", {"model": "deepseek-reasoner"}, "openai-chat.json"),
        ("/v1/messages", {"model": "claude-sonnet-4-0", "stream": False}, "anthropic-messages.json"),
        ("/v1/embeddings", {"model": "mine", "stream": True}, "openai-embeddings.json"),
        ("/v1/images", {"model": "mine"}, None),
        ("/v1/responses", ["model"], None),
    ],
)
def test_the_nearest_recording_is_chosen(path: str, request_body: Any, name: str | None) -> None:
    found = choose(path, json.dumps(request_body).encode())
    assert (found.name if found else None) == name


def test_what_is_not_json_finds_nothing() -> None:
    assert choose("/v1/responses", b"{") is None


@each_recording
def test_the_pace_is_a_live_models(recording: Recording) -> None:
    first, *others = [step.seconds for step in play(recording, speed=1.0) if isinstance(step, Pause)]
    assert 0.2 <= first <= 0.4
    if recording.stream:
        assert 30 <= round(recording.body.count(b"\n\n") / sum(others)) <= 60
    assert next(play(recording, speed=2.0)) == Pause(first / 2)


@each_recording
async def test_it_answers_with_the_recorded_bytes_in_the_recorded_pieces(recording: Recording) -> None:
    path, body = recording.path.encode(), json.dumps(recording.request).encode()
    async with ScriptedUpstream(replay(speed=1000)) as upstream:
        answer = await ask(upstream, b"POST /v1%s HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (path, len(body), body))
    assert answer.complete
    assert b"".join(answer.chunks) == recording.body


async def get(target: bytes) -> tuple[int, Any]:
    async with ScriptedUpstream(replay()) as upstream:
        answer: Answer = await ask(upstream, b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % target)
    return answer.parser.get_status_code(), json.loads(b"".join(answer.chunks))


async def test_it_lists_its_models() -> None:
    status, body = await get(b"/v1/models")
    assert status == 200
    assert {model["id"] for model in body["data"]} == {recording.model for recording in recordings()}


@pytest.mark.parametrize(
    ("target", "code"),
    [(b"/v1/files", ("error", "code", "not_found")), (b"/v1/messages/batches", ("error", "type", "not_found_error"))],
)
async def test_what_it_does_not_know_is_refused_in_the_apis_shape(target: bytes, code: tuple[str, str, str]) -> None:
    status, body = await get(target)
    assert status == 404
    assert body[code[0]][code[1]] == code[2]
    assert target.decode() in body["error"]["message"]


@contextmanager
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "headgate.testing.replay", "--until-eof", "--speed", "50"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


async def test_the_process_answers_and_ends_on_sigterm() -> None:
    with process() as (running, url):
        answer = await asyncio.to_thread(urllib.request.urlopen, url + "/v1/models")
        assert answer.status == 200
        answer.close()
        running.send_signal(signal.SIGTERM)
        assert running.wait() == 0


def test_the_process_ends_when_its_parent_does() -> None:
    parent = (
        "import subprocess, sys, os\n"
        "child = subprocess.Popen([sys.executable, '-m', 'headgate.testing.replay', '--until-eof'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode().strip(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    # The child shares this pipe as its standard error: the pipe ends when the child has.
    ended = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.startswith("http://127.0.0.1:")
    assert ended.stderr == ""
