import pytest

from headgate.access.keys import Keys
from headgate.errors import BadRequest, Busy, TooLarge, Unauthorized
from headgate.gateway.admit import admit, authenticate
from headgate.gateway.locate import locate
from headgate.gateway.request import Request
from headgate.stores.memory import MemoryRecordLog

from .fakes import CHAT, post

KEYS = Keys({"team-a": "a-key-of-some-length"})
OPEN = Keys({})


class FullLog(MemoryRecordLog):
    @property
    def accepting(self) -> bool:
        return False


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer a-key-of-some-length"),
        (b"x-api-key", b"a-key-of-some-length"),
        (b"api-key", b"a-key-of-some-length"),
        (b"x-goog-api-key", b"a-key-of-some-length"),
    ],
)
def test_a_key_may_come_where_the_apis_put_theirs(header: tuple[bytes, bytes]) -> None:
    assert authenticate(post("/v1/messages", b"", header), KEYS) == "team-a"


@pytest.mark.parametrize(
    "headers", [(), ((b"authorization", b"Bearer wrong"),), ((b"authorization", b"a-key"), (b"x-api-key", b""))]
)
def test_without_a_key(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    request = post("/v1/messages", b"", *headers)
    with pytest.raises(Unauthorized):
        authenticate(request, KEYS)
    assert authenticate(request, OPEN) is None


def test_a_key_may_come_in_the_query_as_googles_does() -> None:
    assert authenticate(Request("POST", "/v1/x", b"alt=sse&key=a-key-of-some-length", [], b""), KEYS) == "team-a"


@pytest.mark.parametrize(
    ("keys", "theirs"), [(KEYS, [b"sk-theirs"]), (OPEN, [b"Bearer a-key-of-some-length", b"sk-theirs"])]
)
def test_what_is_no_gateway_key_is_the_clients_own(keys: Keys, theirs: list[bytes]) -> None:
    headers = [(b"authorization", b"Bearer a-key-of-some-length"), (b"x-api-key", b"sk-theirs")]
    request = Request("POST", "/v1/chat/completions", b"", headers, CHAT)
    admission = admit(request, locate(request), keys, MemoryRecordLog())
    assert [value for _, value in admission.credentials] == theirs


def test_the_ask_is_read() -> None:
    request = post("/v1/chat/completions", CHAT)
    admission = admit(request, locate(request), OPEN, MemoryRecordLog())
    assert (admission.ask.model, admission.ask.stream, admission.ask.input_bytes) == ("gpt-4o-mini", True, len(CHAT))


def test_a_model_named_twice_is_refused() -> None:
    request = post("/v1/chat/completions", b'{"model":"cheap","messages":[],"mod\\u0065l":"dear"}')
    with pytest.raises(BadRequest):
        admit(request, locate(request), OPEN, MemoryRecordLog())


def test_an_unreadable_body_is_refused_with_its_own_reason_but_not_to_strangers() -> None:
    request = Request("POST", "/v1/chat/completions", b"", [], b"", TooLarge("too large"))
    with pytest.raises(TooLarge):
        admit(request, locate(request), OPEN, MemoryRecordLog())
    with pytest.raises(Unauthorized):
        admit(request, locate(request), KEYS, MemoryRecordLog())


def test_nothing_is_served_that_cannot_be_recorded() -> None:
    request = post("/v1/chat/completions", CHAT)
    with pytest.raises(Busy):
        admit(request, locate(request), OPEN, FullLog())


def test_requests_without_a_body_have_an_empty_ask() -> None:
    request = Request("GET", "/v1/responses/resp_1", b"", [], b"")
    ask = admit(request, locate(request), OPEN, MemoryRecordLog()).ask
    assert (ask.model, ask.response_id) == (None, "resp_1")
