"""Responses over a socket in front of a provider that has them over HTTP only."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from headgate.dialects.conversation import conversation_in
from headgate.dialects.registry import by_name
from headgate.errors import UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.bridge import Bridge
from headgate.gateway.socket import SocketClosed
from headgate.gateway.upstream import CallAborted, Head, UpstreamRequest
from headgate.providers.base import Origin, TimeLimits
from headgate.testing.replay import recordings
from tests.gateway.fakes import JSON, SSE, FakeCall, FakeUpstream, Step


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def created(n: int) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": f"resp_{n}"}}


def completed(n: int, *output: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}
    return {"type": "response.completed", "response": {"id": f"resp_{n}", "usage": usage, "output": list(output)}}


def bridge(*calls: FakeCall) -> tuple[Bridge, FakeUpstream]:
    upstream, numbers = FakeUpstream(list(calls)), itertools.count(1)

    async def prepared(body: bytes, model: str | None) -> UpstreamRequest:
        assert json.loads(body).get("model") == model
        return UpstreamRequest(b"POST", Origin(False, "x", 80), b"x", b"/v1/responses", (), body, TimeLimits())  # noqa: FBT003

    return Bridge(upstream, prepared, lambda: str(next(numbers))), upstream


def streams(*steps: Step | str) -> FakeCall:
    return FakeCall(Head(200, SSE), steps)


def create(**more: Any) -> bytes:
    return json.dumps({"type": "response.create", "model": "m", "input": "hi"} | more).encode()


async def frames(socket: Bridge, count: int) -> Sequence[dict[str, Any]]:
    return [json.loads(await socket.receive()) for _ in range(count)]


def sent(upstream: FakeUpstream, at: int) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(upstream.requests[at].body)
    return body


async def test_a_create_is_a_stream_and_its_events_are_frames() -> None:
    socket, upstream = bridge(streams(sse(created(1)), sse(completed(1)) + b"data: [DONE]\n\n"))
    await socket.send(create(store=False))
    assert [frame["type"] for frame in await frames(socket, 2)] == ["response.created", "response.completed"]
    assert sent(upstream, 0) == {"model": "m", "input": "hi", "store": False, "stream": True}


async def test_a_recorded_stream_comes_back_event_by_event() -> None:
    recording = next(r for r in recordings() if r.dialect == "openai.responses" and r.stream)
    socket, _ = bridge(streams(*recording.pieces()))
    conversation = conversation_in(by_name("openai.responses"))
    assert conversation is not None
    turn = conversation.ask(create())
    assert turn is not None
    conversation.send(turn)
    await socket.send(create())
    while not conversation.hear(await socket.receive()).ends:
        pass
    used = turn.finish().usage
    assert (used.input_tokens, used.output_tokens) == (
        recording.usage["input_tokens"],
        recording.usage["output_tokens"],
    )


async def test_what_was_not_stored_is_known_by_its_id() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
    socket, upstream = bridge(
        streams(sse(created(1), completed(1, said))), streams(sse(created(2), completed(2))), streams(sse(created(3)))
    )
    await socket.send(create(store=False))
    await socket.send(create(store=False, previous_response_id="resp_1", input=[{"role": "user", "content": "more"}]))
    await frames(socket, 4)
    assert sent(upstream, 1)["input"] == [{"role": "user", "content": "hi"}, said, {"role": "user", "content": "more"}]
    assert "previous_response_id" not in sent(upstream, 1)
    await socket.send(create(previous_response_id="resp_elsewhere"))
    await frames(socket, 1)
    assert sent(upstream, 2)["previous_response_id"] == "resp_elsewhere"


async def test_a_warm_up_makes_nothing_and_is_remembered() -> None:
    socket, upstream = bridge(streams(sse(created(1), completed(1))))
    await socket.send(create(generate=False, input=[{"role": "user", "content": "context"}]))
    _, ended = await frames(socket, 2)
    assert ended["response"]["usage"] == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert upstream.requests == []
    await socket.send(create(previous_response_id=ended["response"]["id"]))
    await frames(socket, 2)
    assert [item["content"] for item in sent(upstream, 0)["input"]] == ["context", "hi"]


async def test_lanes_are_named_in_every_frame() -> None:
    socket, _ = bridge(streams(sse(created(1), completed(1))))
    await socket.send(create(stream_id="a"))
    assert [frame["stream_id"] for frame in await frames(socket, 2)] == ["a", "a"]


async def test_a_refusal_is_an_error_frame() -> None:
    body = b'{"error":{"message":"no such model","code":"model_not_found","type":"invalid_request_error"}}'
    socket, _ = bridge(FakeCall(Head(404, JSON), [body]))
    await socket.send(create())
    (told,) = await frames(socket, 1)
    assert (told["type"], told["status"], told["error"]["code"]) == ("error", 404, "model_not_found")


@pytest.mark.parametrize("ending", [UpstreamCut("cut"), None])
async def test_a_stream_that_breaks_off_fails_its_response(ending: Exception | None) -> None:
    socket, _ = bridge(streams(sse(created(1)), *([ending] if ending else [])))
    await socket.send(create())
    _, told = await frames(socket, 2)
    assert (told["type"], told["response"]["id"]) == ("response.failed", "resp_1")


async def test_closing_aborts_what_runs() -> None:
    call = streams(sse(created(1)), "hang")
    socket, _ = bridge(call)
    await socket.send(create())
    await frames(socket, 1)
    await socket.close(1000)
    assert call.aborted
    with pytest.raises(SocketClosed):
        await socket.send(create())


async def test_what_one_lane_said_is_not_forgotten_for_another() -> None:
    ends = [streams(sse(completed(n, {"said": n}))) for n in (1, 2, 3)]
    socket, upstream = bridge(*ends)
    for lane in ("a", "b"):
        await socket.send(create(stream_id=lane, store=False))
        await frames(socket, 1)
    await socket.send(create(stream_id="a", previous_response_id="resp_1"))
    await frames(socket, 1)
    assert {"said": 1} in sent(upstream, 2)["input"]


async def test_only_the_latest_warm_ups_are_remembered() -> None:
    socket, upstream = bridge(streams(sse(completed(1))), streams(sse(completed(2))))
    warmed = []
    for _ in range(17):
        await socket.send(create(generate=False))
        warmed.append((await frames(socket, 2))[1]["response"]["id"])
    for known in (warmed[0], warmed[-1]):
        await socket.send(create(previous_response_id=known))
        await frames(socket, 1)
    assert sent(upstream, 0)["previous_response_id"] == warmed[0]
    assert "previous_response_id" not in sent(upstream, 1)


@pytest.mark.parametrize(
    "odd", [{"previous_response_id": ["x"]}, {"input": {"a": 1}}, {"input": 7}, {"stream_id": {"x": 1}}]
)
async def test_odd_types_go_to_the_provider_for_its_answer(odd: dict[str, Any]) -> None:
    socket, upstream = bridge(streams(sse({"type": "response.completed", "response": {"id": 5, "output": "?"}})))
    await socket.send(create(store=False, **odd))
    (told,) = await frames(socket, 1)
    assert told["type"] == "response.completed"
    assert sent(upstream, 0).items() >= {k: v for k, v in odd.items() if k != "stream_id"}.items()


async def test_the_seventeenth_create_waits_for_room() -> None:
    socket, upstream = bridge(*(streams(sse(created(n)), "hang") for n in range(17)))
    for n in range(16):
        await socket.send(create(stream_id=str(n)))
    waiting = asyncio.create_task(socket.send(create(stream_id="16")))
    await frames(socket, 16)
    assert (len(upstream.requests), waiting.done()) == (16, False)
    await socket.close(1000)
    with pytest.raises(SocketClosed):
        await waiting
    assert len(upstream.requests) == 16


async def test_an_end_without_an_id_is_not_remembered() -> None:
    nameless = {"type": "response.completed", "response": {"output": [{"said": "by another"}]}}
    socket, upstream = bridge(streams(sse(nameless)), streams(sse(created(2), completed(2))))
    await socket.send(create(store=False))
    await frames(socket, 1)
    await socket.send(create(store=False, previous_response_id=None))
    assert [frame["type"] for frame in await frames(socket, 2)] == ["response.created", "response.completed"]
    assert sent(upstream, 1)["input"] == "hi"


@pytest.mark.parametrize(
    ("fault", "status"), [(RuntimeError("odd"), 500), (CallAborted(), 503), (UpstreamUnreachable("no"), 502)]
)
@pytest.mark.parametrize("begun", [False, True])
async def test_whatever_goes_wrong_is_told_in_its_place(fault: Exception, status: int, *, begun: bool) -> None:
    failing = streams(sse(created(1)), fault) if begun else FakeCall(fault, sent=False)
    socket, _ = bridge(failing, streams(sse(created(2), completed(2))))
    await socket.send(create(stream_id="a"))
    await socket.send(create(stream_id="a"))
    told = await frames(socket, 4 if begun else 3)
    failed = told[1 if begun else 0]
    assert failed["stream_id"] == "a"
    if begun:
        assert (failed["type"], failed["response"]["id"]) == ("response.failed", "resp_1")
    else:
        assert (failed["type"], failed["status"]) == ("error", status)
    assert told[-1]["type"] == "response.completed"


async def test_nothing_is_told_of_a_response_that_was_whole_before_its_connection_broke() -> None:
    socket, _ = bridge(streams(sse(completed(1)), UpstreamCut("cut")), streams(sse(completed(2))))
    for n in (1, 2):
        await socket.send(create())
        (told,) = await frames(socket, 1)
        assert (told["type"], told["response"]["id"]) == ("response.completed", f"resp_{n}")


async def test_what_is_remembered_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.gateway.bridge._REMEMBERED_BYTES", 1000)
    socket, upstream = bridge(*(streams(sse(completed(n))) for n in (1, 2, 3)))
    warmed = []
    for size in (600, 600, 2000):
        await socket.send(create(generate=False, input="x" * size))
        warmed.append((await frames(socket, 2))[1]["response"]["id"])
        await socket.send(create(previous_response_id=warmed[-1], store=True))
        await frames(socket, 1)
    assert [json.loads(r.body).get("previous_response_id") for r in upstream.requests] == [None, None, warmed[2]]
    assert (len(socket._said), socket._said_bytes) == (0, 0)


async def test_members_are_passed_on_as_they_are_written() -> None:
    socket, upstream = bridge(streams(sse(completed(1))))
    digits = "9" * 4000
    await socket.send(
        b'{"type":"response.create" , "model":"m","top_p":0.10,"metadata":{"n":%b},"input":[ {"a":"\\u00e9"} ]}'
        % digits.encode()
    )
    await frames(socket, 1)
    assert upstream.requests[0].body == (
        b'{"model":"m","top_p":0.10,"metadata":{"n":%b},"input":[ {"a":"\\u00e9"} ],"stream":true}' % digits.encode()
    )


async def test_a_create_is_held_back_until_its_lane_is_free() -> None:
    socket, _ = bridge(streams(sse(created(1)), "hang"), streams("hang"))
    first, second, other = create(stream_id="a"), create(stream_id="a"), create(stream_id="b")
    for frame in (first, second, other):
        await socket.send(frame)
    await frames(socket, 1)
    assert [socket.holds_back(frame) for frame in (first, second, other)] == [False, True, False]
    await socket.close(1000)


async def test_what_was_sent_and_not_answered_is_a_response_that_failed() -> None:
    socket, _ = bridge(FakeCall(UpstreamTimeout("late")))
    conversation = conversation_in(by_name("openai.responses"))
    assert conversation is not None
    turn = conversation.ask(create(stream_id="a"))
    assert turn is not None
    conversation.send(turn)
    await socket.send(create(stream_id="a"))
    told = await socket.receive()
    assert (json.loads(told)["type"], json.loads(told)["response"]["error"]["code"]) == (
        "response.failed",
        UpstreamTimeout.code,
    )
    assert conversation.hear(told).ends
    assert turn.began


@pytest.mark.parametrize("ready", [True, False])
async def test_who_knocks_sends_nothing(ready: bool) -> None:
    socket, upstream = bridge(FakeCall(Head(200, SSE)))
    upstream.is_ready = ready
    await socket.knock()
    assert [(call.sent, call.aborted) for call in upstream.calls] == ([(True, False)] if ready else [(False, True)])
    assert len(upstream.requests) == (0 if ready else 1)


async def test_who_knocks_in_vain_is_told() -> None:
    class Nobody(FakeCall):
        async def head(self) -> Head:
            raise UpstreamUnreachable("no")

    socket, upstream = bridge(Nobody(Head(200, SSE)))
    upstream.is_ready = False
    with pytest.raises(UpstreamUnreachable):
        await socket.knock()
    assert upstream.calls[0].aborted
