"""Forms, sound and files through the gateway: byte for byte, metered where the answer says what was used."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import httpx
import openai
import pytest
import pytest_asyncio

from headgate.records import Ending, Record
from headgate.testing.upstream import Coding, Received, ScriptedUpstream, response
from headgate.usage import Leg, Usage
from tests.e2e.running import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOUND = b"RIFF\x00\xff--" * 40_000
FILE = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
PICTURE = b"\x89PNG\r\n\x1a\n"


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with ScriptedUpstream(lambda _: []) as upstream, running_gateway(upstream.url) as gateway:
        yield Stage(upstream, gateway)


async def exchanged(
    stage: Stage, call: Callable[[openai.OpenAI], Any], body: bytes, content_type: str = "application/json"
) -> tuple[Any, Received, Record]:
    """What the SDK got, what the upstream was asked, and what was recorded."""
    stage.upstream.handler = lambda _: response([body], content_type=content_type, coding=Coding.LENGTH)
    seen = len(stage.gateway.log.kept)

    def talk() -> Any:
        with openai.OpenAI(base_url=stage.gateway.url + "/v1", api_key="a-client", max_retries=0) as client:
            return call(client)

    got = await asyncio.to_thread(talk)
    return got, stage.upstream.requests[-1], (await stage.gateway.log.all(seen + 1))[-1]


async def test_a_transcription_passes_as_it_is_and_is_metered(stage: Stage) -> None:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    usage |= {"input_token_details": {"audio_tokens": 14, "text_tokens": 0}}
    body = json.dumps({"text": "Hi", "usage": usage}).encode()
    got, asked, record = await exchanged(
        stage, lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", SOUND)), body
    )
    assert got.usage.input_tokens == 14
    assert asked.path == "/v1/audio/transcriptions"
    assert SOUND in asked.body
    assert (asked.header(b"content-type") or b"").startswith(b"multipart/form-data; boundary=")
    assert (record.provider, record.model_asked, record.ending) == ("openai", "gpt-4o-transcribe", Ending.COMPLETE)
    assert record.reading.usage == Usage(input_tokens=14, input_audio_tokens=14, output_tokens=45)


async def test_speech_is_unmetered_and_named_so(stage: Stage) -> None:
    got, _, record = await exchanged(
        stage, lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="Hi").read(), SOUND, "audio/mpeg"
    )
    assert got == SOUND
    assert (record.ending, record.billable, record.reading.usage) == (Ending.COMPLETE, True, Usage())
    assert record.reading.anomalies == {"unmetered": 1}


async def test_an_edited_picture_is_metered(stage: Stage) -> None:
    usage = {"input_tokens": 50, "input_tokens_details": {"image_tokens": 40, "text_tokens": 10}, "output_tokens": 9}
    body = json.dumps({"created": 1, "data": [{"b64_json": "AA"}], "usage": usage | {"total_tokens": 59}}).encode()
    _, asked, record = await exchanged(
        stage, lambda c: c.images.edit(model="gpt-image-1", image=("a.png", PICTURE), prompt="red"), body
    )
    assert PICTURE in asked.body
    assert record.reading.usage == Usage(input_tokens=50, input_image_tokens=40, output_tokens=9)


async def test_files_and_moderations_cost_nothing(stage: Stage) -> None:
    body = b'{"id":"file-1","object":"file"}'
    _, asked, record = await exchanged(stage, lambda c: c.files.create(file=("b.jsonl", b"{}"), purpose="batch"), body)
    assert (asked.path, record.provider, record.billable) == ("/v1/files", "openai", False)
    body = b'{"id":"m","model":"omni-moderation-latest","results":[]}'
    _, asked, record = await exchanged(
        stage, lambda c: c.moderations.create(model="omni-moderation-latest", input="x"), body
    )
    assert (asked.path, record.ending, record.billable) == ("/v1/moderations", Ending.COMPLETE, False)
    lines = b'{"custom_id":"1","response":{"body":{"usage":{"prompt_tokens":1}}}}\n' * 2
    got, _, record = await exchanged(
        stage, lambda c: c.files.content("file-1").read(), lines, "application/octet-stream"
    )
    assert got == lines
    read = Usage(legs=(Leg("batch", None, Usage(input_tokens=2)),))
    assert (record.counted, record.reading.usage) == (False, read), "a batch from elsewhere is read, not counted"


def form(model: bytes) -> bytes:
    return (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\n' + model + b"\r\n" + FILE + SOUND + b"\r\n--b--"
    )


async def sent(stage: Stage, body: bytes) -> httpx.Response:
    url = stage.gateway.url + "/v1/audio/transcriptions"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    return await asyncio.to_thread(httpx.post, url, content=body, headers=headers)


async def test_a_form_passes_byte_for_byte(stage: Stage) -> None:
    stage.upstream.handler = lambda _: response([b"Hi\n"], content_type="text/plain", coding=Coding.LENGTH)
    answer = await sent(stage, form(b"whisper-1"))
    asked = stage.upstream.requests[-1]
    assert asked.body == form(b"whisper-1")
    assert asked.header(b"content-type") == b"multipart/form-data; boundary=b"
    assert (answer.status_code, answer.content) == (200, b"Hi\n")
    record = await stage.gateway.log.of(answer.headers["x-headgate-exchange-id"])
    assert (record.model_asked, record.reading.anomalies) == ("whisper-1", {"unmetered": 1})


async def test_a_provider_before_the_model_of_a_form_is_refused(stage: Stage) -> None:
    before = len(stage.upstream.requests)
    answer = await sent(stage, form(b"groq/whisper-1"))
    assert answer.status_code == 400
    assert "X-Provider" in answer.json()["error"]["message"]
    assert len(stage.upstream.requests) == before
    record = await stage.gateway.log.of(answer.headers["x-headgate-exchange-id"])
    assert record.ending == Ending.NEVER_SENT
