import json

from headgate.dialects import registry
from headgate.errors import NotFound, UpstreamCut
from headgate.gateway.answer import answer_error, tell_failure

from .fakes import FakeClient

CHAT, MESSAGES = registry.by_name("openai.chat"), registry.by_name("anthropic.messages")


async def test_an_error_is_answered_in_the_dialect() -> None:
    client = FakeClient()
    sent = await answer_error(client, NotFound("no such thing"), CHAT, "ex_1")
    assert (client.status, client.ended, sent) == (404, True, len(client.body))
    assert json.loads(client.body)["error"]["message"] == "no such thing"
    headers = dict(client.headers)
    assert headers[b"content-length"] == str(sent).encode()
    assert headers[b"x-headgate-exchange-id"] == b"ex_1"


async def test_without_a_dialect_the_common_shape() -> None:
    client = FakeClient()
    await answer_error(client, NotFound("no such thing"), None, "ex_1")
    assert json.loads(client.body)["error"]["code"] == "not_found"


async def test_nobody_to_answer() -> None:
    assert await answer_error(FakeClient(gone=True), NotFound("x"), CHAT, "ex_1") == 0


async def test_an_answer_that_has_begun_is_broken_off() -> None:
    client = FakeClient(status=200)
    assert await answer_error(client, NotFound("x"), CHAT, "ex_1") == 0
    assert client.aborted
    assert client.status == 200


async def test_failures_in_a_stream() -> None:
    for dialect, start in ((CHAT, b"data: "), (MESSAGES, b"event: error\n")):
        client = FakeClient(status=200)
        await tell_failure(client, dialect.error_frame(UpstreamCut("lost"), "ex_1"))
        assert client.body.startswith(start)
        assert client.body.endswith(b"\n\n")
        assert client.ended


async def test_failures_where_nothing_can_be_added() -> None:
    client = FakeClient(status=200)
    await tell_failure(client, None)
    assert (client.body, client.ended, client.aborted) == (b"", False, True)
