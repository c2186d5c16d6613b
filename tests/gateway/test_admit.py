import pytest

from headgate.access.keys import Keys
from headgate.errors import BadRequest, Busy, TooLarge, Unauthorized
from headgate.gateway.admit import Admission, admit
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.locate import locate
from headgate.gateway.request import Request
from headgate.stores.memory import MemoryStore

from .fakes import BEARER, CHAT, NOW_NS, SECRET, post, virtual_key

KEYS = Keys({"team-a": "a-key-of-some-length"})
OPEN = Keys({})


class FullStore(MemoryStore):
    @property
    def accepting(self) -> bool:
        return False


async def admitted(request: Request, keys: Keys = OPEN, store: MemoryStore | None = None) -> Admission:
    store = store or MemoryStore()
    return await admit(request, locate(request), Doorkeeper(keys, store, SECRET, lambda: NOW_NS), store)


@pytest.mark.parametrize(
    ("keys", "theirs"), [(KEYS, [b"sk-theirs"]), (OPEN, [b"Bearer a-key-of-some-length", b"sk-theirs"])]
)
async def test_what_is_no_gateway_key_is_the_clients_own(keys: Keys, theirs: list[bytes]) -> None:
    headers = [(b"authorization", b"Bearer a-key-of-some-length"), (b"x-api-key", b"sk-theirs")]
    admission = await admitted(Request("POST", "/v1/chat/completions", b"", headers, CHAT), keys)
    assert [value for _, value in admission.credentials] == theirs


async def test_a_virtual_key_comes_with_its_account_and_goes_no_further() -> None:
    store = MemoryStore()
    await store.put_key(virtual_key())
    admission = await admitted(post("/v1/chat/completions", CHAT, BEARER, (b"x-api-key", b"sk-theirs")), store=store)
    assert (admission.holder.name, admission.holder.account_id) == ("alice", "team")
    assert admission.credentials == [(b"x-api-key", b"sk-theirs")]


async def test_the_ask_is_read() -> None:
    ask = (await admitted(post("/v1/chat/completions", CHAT))).ask
    assert (ask.model, ask.stream, ask.input_bytes) == ("gpt-4o-mini", True, len(CHAT))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/chat/completions", True),
        ("POST", "/p/openai/v1/unknown", True),
        ("GET", "/p/openai/v1/unknown", False),
        ("GET", "/v1/responses/resp_1", False),
        ("POST", "/v1/messages/count_tokens", False),
    ],
)
async def test_what_may_cost(method: str, path: str, expected: bool) -> None:
    request = Request(method, path, b"", [], b'{"model":"m"}' if method == "POST" else b"")
    assert (await admitted(request)).may_cost is expected


async def test_a_model_named_twice_is_refused() -> None:
    with pytest.raises(BadRequest):
        await admitted(post("/v1/chat/completions", b'{"model":"cheap","messages":[],"mod\\u0065l":"dear"}'))


async def test_an_unreadable_body_is_refused_with_its_own_reason_but_not_to_strangers() -> None:
    request = Request("POST", "/v1/chat/completions", b"", [], b"", TooLarge("too large"))
    with pytest.raises(TooLarge):
        await admitted(request)
    with pytest.raises(Unauthorized):
        await admitted(request, KEYS)


async def test_nothing_is_served_that_cannot_be_recorded() -> None:
    with pytest.raises(Busy):
        await admitted(post("/v1/chat/completions", CHAT), store=FullStore())


async def test_requests_without_a_body_have_an_empty_ask() -> None:
    ask = (await admitted(Request("GET", "/v1/responses/resp_1", b"", [], b""))).ask
    assert (ask.model, ask.response_id) == (None, "resp_1")
