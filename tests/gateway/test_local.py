"""What the gateway answers by itself."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from headgate.access.keys import Keys
from headgate.errors import Busy
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.live import Live
from headgate.gateway.local import LocalAnswer, LocalAnswers
from headgate.gateway.request import Request
from headgate.records import Record
from headgate.routing.aliases import Alias, Target, Tier
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from headgate.stores.memory import MemoryStore
from tests.stores.examples import a_record

from .fakes import (
    BEARER,
    CHAT,
    DONE,
    FINISH,
    FIRST,
    KEY_TEXT,
    SECRET,
    USAGE,
    FakeClient,
    Stage,
    deployment,
    ok,
    post,
    stage,
    virtual_key,
)

CATALOGUE = Catalogue.from_json(b'{"openai":["gpt-4o-mini"],"anthropic":["claude-haiku-4-5"],"groq":["llama"]}')


def local(
    keys: dict[str, str] | None = None, store: MemoryStore | None = None, aliases: Sequence[Alias] = ()
) -> LocalAnswers:
    models = Models((deployment("openai"), deployment("anthropic")), CATALOGUE, None, aliases)
    store = store or MemoryStore()
    return LocalAnswers(models, Doorkeeper(Keys(keys or {}), store, SECRET, lambda: 0), store, Live(), "1.0")


def get(path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> Request:
    return Request(method, path, b"", list(headers), b"")


async def answered(answers: LocalAnswers, request: Request) -> LocalAnswer:
    answering = answers.answer(request)
    assert answering is not None
    answer = await answering
    assert dict(answer.headers)[b"content-length"] == str(len(answer.body)).encode()
    return answer


async def body(answers: LocalAnswers, request: Request) -> Any:
    return json.loads((await answered(answers, request)).body)


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("GET", "/"), ("HEAD", "/api/hello"), ("GET", "/health")])
async def test_probes_need_no_key(method: str, path: str) -> None:
    assert (await answered(local({"a": "k" * 16}), get(path, method=method))).status == 200


async def test_who_opens_it_in_a_browser_is_shown_the_dashboard() -> None:
    answer = await answered(local({"a": "k" * 16}), get("/", (b"accept", b"text/html,application/xhtml+xml;q=0.9")))
    assert (answer.status, dict(answer.headers)[b"location"]) == (307, b"dashboard")
    assert (await answered(local(), get("/", (b"accept", b"*/*")))).status == 200


async def test_health_tells_when_records_cannot_be_written() -> None:
    class FullLog(MemoryStore):
        @property
        def accepting(self) -> bool:
            return False

    assert (await answered(local(store=FullLog()), get("/health"))).status == 503


async def test_the_list_names_what_can_be_asked_for_here() -> None:
    listed = await body(local(), get("/v1/models"))
    assert listed["object"] == "list"
    assert {model["id"] for model in listed["data"]} == {"gpt-4o-mini", "claude-haiku-4-5"}


async def test_the_operators_aliases_come_first_and_hide_what_they_are_called_like() -> None:
    targets = (Target(deployment("openai"), "m"), Target(deployment("anthropic"), "m"))
    aliases = [Alias("smart", (Tier(targets),)), Alias("claude-haiku-4-5", (Tier(targets),))]
    listed = await body(local(aliases=aliases), get("/v1/models"))
    owners = [(model["id"], model["owned_by"]) for model in listed["data"]]
    assert owners == [("smart", "headgate"), ("claude-haiku-4-5", "headgate"), ("gpt-4o-mini", "openai")]
    store = MemoryStore()
    await store.put_key(virtual_key(models=("smart",), providers=("anthropic",)))
    listed = await body(local(store=store, aliases=aliases), get("/v1/models", BEARER))
    assert [model["id"] for model in listed["data"]] == ["smart"]


async def test_anthropic_clients_get_their_shape() -> None:
    listed = await body(local(), get("/v1/models", (b"anthropic-version", b"2023-06-01")))
    assert {model["type"] for model in listed["data"]} == {"model"}
    assert listed["first_id"] == listed["data"][0]["id"]


@pytest.mark.parametrize("header", [b"x-goog-api-client", b"x-goog-api-key"])
async def test_googles_clients_get_their_shape(header: bytes) -> None:
    listed = await body(local(), get("/v1/models", (header, b"x")))
    assert {model["name"] for model in listed["models"]} == {"models/gpt-4o-mini", "models/claude-haiku-4-5"}
    one = await body(local(), get("/v1/models/gpt-4o-mini", (header, b"x")))
    assert one == {"name": "models/gpt-4o-mini", "displayName": "gpt-4o-mini"}


async def test_one_model() -> None:
    assert (await body(local(), get("/v1/models/gpt-4o-mini")))["owned_by"] == "openai"
    assert (await answered(local(), get("/v1/models/nobody"))).status == 404


async def test_the_list_asks_for_a_key() -> None:
    assert (await answered(local({"a": "k" * 16}), get("/v1/models"))).status == 401


@pytest.mark.parametrize(
    ("models", "providers", "seen"),
    [
        ((), (), {"gpt-4o-mini", "claude-haiku-4-5"}),
        (("gpt-*",), (), {"gpt-4o-mini"}),
        ((), ("anthropic",), {"claude-haiku-4-5"}),
        (("gpt-*",), ("anthropic",), set()),
    ],
)
async def test_a_virtual_key_sees_what_it_may_use(
    models: tuple[str, ...], providers: tuple[str, ...], seen: set[str]
) -> None:
    store = MemoryStore()
    await store.put_key(virtual_key(models=models, providers=providers))
    listed = await body(local(store=store), get("/v1/models", BEARER))
    assert {model["id"] for model in listed["data"]} == seen
    for name in ("gpt-4o-mini", "claude-haiku-4-5"):
        one = await answered(local(store=store), get(f"/v1/models/{name}", BEARER))
        assert one.status == (200 if name in seen else 404)


async def test_everything_else_is_an_exchange() -> None:
    assert local().answer(get("/v1/models", (b"x-provider", b"openai"))) is None
    assert local().answer(get("/p/openai/v1/models")) is None
    assert local().answer(get("/v1/chat/completions", method="POST")) is None
    assert local().answer(get("/v1/exchanges/ex_1", method="DELETE")) is None


def beside(scene: Stage) -> LocalAnswers:
    gateway = scene.gateway
    return LocalAnswers(gateway.models, gateway.door, scene.store, gateway.live, "1.0")


async def test_an_exchange_tells_what_it_cost_to_the_key_that_made_it() -> None:
    scene = await stage(ok(FIRST, FINISH, USAGE, DONE), keys={"team-b": "an-operators-key"}).with_key()
    await scene.store.put_key(virtual_key(b"hg-another-key", "key_2"))
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    path = f"/v1/exchanges/{record.exchange_id}"
    told = await body(beside(scene), get(path, BEARER))
    assert told == record.as_json()
    assert (told["charge_nanos"], told["settled"]) == (12_000, "captured")
    for theirs, status in ((b"hg-another-key", 404), (b"an-operators-key", 404), (b"hg-unknown", 401)):
        answer = await answered(beside(scene), get(path, (b"authorization", b"Bearer " + theirs)))
        assert answer.status == status, theirs
        assert b"12000" not in answer.body
    assert (await answered(beside(scene), get(path))).status == 401
    assert (await answered(beside(scene), get("/v1/exchanges/ex_9", BEARER))).status == 404


async def test_after_a_restart_the_log_tells_it() -> None:
    scene = await stage(ok(FIRST, FINISH, USAGE, DONE)).with_key()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    fresh = local(store=scene.store)
    assert (await body(fresh, get(f"/v1/exchanges/{record.exchange_id}", BEARER)))["charge_nanos"] == 12_000


async def test_an_exchange_under_way_says_so_to_its_own_key_only() -> None:
    seen: list[tuple[int, Any]] = []
    scene = await stage(ok(FIRST + FINISH + USAGE + DONE)).with_key()
    await scene.store.put_key(virtual_key(b"hg-another-key", "key_2"))

    class Looks(FakeClient):
        async def write(self, chunk: bytes) -> None:
            for text in (KEY_TEXT, b"hg-another-key"):
                asked = get("/v1/exchanges/ex_1", (b"authorization", b"Bearer " + text))
                answer = await answered(beside(scene), asked)
                seen.append((answer.status, json.loads(answer.body)))
            await super().write(chunk)

    await scene.play(post("/v1/chat/completions", CHAT, BEARER), Looks())
    assert seen[0] == (202, {"exchange_id": "ex_1", "status": "running"})
    assert [status for status, _ in seen] == [202, 404]


async def test_where_the_gateway_is_open_everyone_is_nobody() -> None:
    scene = stage(ok(FIRST, FINISH, USAGE, DONE))
    record = await scene.play(post("/v1/chat/completions", CHAT), FakeClient())
    assert (await body(beside(scene), get(f"/exchanges/{record.exchange_id}")))["ending"] == "complete"


async def test_while_the_log_cannot_be_read_that_is_said() -> None:
    class Away(MemoryStore):
        async def find(self, exchange_id: str) -> Record | None:
            del exchange_id
            raise Busy("The database cannot be read at the moment.")

    assert (await answered(local(store=Away()), get("/v1/exchanges/ex_1"))).status == 503


async def test_an_exchange_of_another_process_is_waited_for_while_it_is_written() -> None:
    """The client has its whole answer, asks what it cost, and comes to another worker."""

    class Slow(MemoryStore):
        asked = 0

        async def find(self, exchange_id: str) -> Record | None:
            self.asked += 1
            return None if self.asked == 1 else await super().find(exchange_id)

    store = Slow()
    store.append(a_record("ex_1", key=None, key_id=None))
    assert (await answered(local(store=store), get("/v1/exchanges/ex_1"))).status == 200
