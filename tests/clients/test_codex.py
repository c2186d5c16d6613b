"""Codex, as npm installs it, runs a turn through the gateway: over a WebSocket, over HTTP, and falling back."""

from pathlib import Path

from headgate.records import Ending
from tests.clients.agents import KEY, PROMPT, Said, Scene, documented, scene_of
from tests.clients.provider import RESPONSES_TOKENS, TEXT, WARM_TOKENS
from tests.e2e.running import CREDENTIAL

MODEL = "gpt-5.5"
DIALECT = "openai.responses"


SOCKET = "supports_websockets = true"


async def codex(scene: Scene, instead: str = SOCKET) -> Said:
    """Run it as documented, with other lines in the place of the one on sockets."""
    config = documented("toml")
    assert SOCKET in config
    scene.configure(".codex/config.toml", config.replace(SOCKET, instead))
    asked = ("exec", "--strict-config", "--skip-git-repo-check", PROMPT)
    return await scene.run("codex", *asked, HEADGATE_KEY=KEY, **scene.tap.variables)


async def test_a_turn_over_a_socket(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        said = await codex(scene)
        assert (said.status, said.out.strip()) == (0, TEXT), said.err
        assert scene.provider.sockets == 1
        warm, answer = scene.provider.asked
        assert (warm.method, warm.body["generate"]) == ("FRAME", False)
        assert (answer.method, answer.body["previous_response_id"]) == ("FRAME", "resp_1")
        assert answer.headers["authorization"] == f"Bearer {CREDENTIAL}"
        await scene.charged(WARM_TOKENS, RESPONSES_TOKENS, dialect=DIALECT, model=MODEL)
        assert (scene.tap.asks, scene.tap.statuses) == (["GET /v1/responses"], [101])
        assert scene.tap.elsewhere == []


async def test_a_turn_over_http(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        said = await codex(scene, "supports_websockets = false")
        assert (said.status, said.out.strip()) == (0, TEXT), said.err
        assert scene.provider.sockets == 0
        (asked,) = scene.provider.asked
        assert (asked.method, asked.target) == ("POST", "/v1/responses")
        assert asked.headers["authorization"] == f"Bearer {CREDENTIAL}"
        await scene.charged(RESPONSES_TOKENS, dialect=DIALECT, model=MODEL)
        assert (scene.tap.asks, scene.tap.statuses) == (["POST /v1/responses"], [200])
        assert scene.tap.elsewhere == []


async def test_where_there_is_no_socket_it_falls_back_to_http(tmp_path: Path) -> None:
    async with scene_of(tmp_path, websocket=False) as scene:
        said = await codex(scene)
        assert (said.status, said.out.strip()) == (0, TEXT), said.err
        assert scene.provider.sockets == 0
        await scene.charged(RESPONSES_TOKENS, dialect=DIALECT, model=MODEL)
        refused, _ = await scene.gateway.log.all(2)
        assert (refused.ending, refused.status) == (Ending.NEVER_SENT, 426)
        assert (scene.tap.asks, scene.tap.statuses) == (["GET /v1/responses", "POST /v1/responses"], [426, 200])


async def test_without_credit_it_says_so(tmp_path: Path) -> None:
    async with scene_of(tmp_path, credit=1) as scene:
        said = await codex(scene, f"{SOCKET}\nstream_max_retries = 0")
        assert said.status == 1
        assert "402 Payment Required: This request may cost up to" in said.err
        assert "Add credit" in said.err
        assert scene.provider.asked == []
        assert set(scene.tap.statuses) == {101, 402}
        assert all(r.status == 402 and r.ending is Ending.NEVER_SENT for r in await scene.gateway.log.all(1))
