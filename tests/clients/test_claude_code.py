"""Claude Code, as npm installs it, runs a turn through the gateway."""

from pathlib import Path

import pytest

from tests.clients.agents import PROMPT, documented, scene_of
from tests.clients.provider import MESSAGES_TOKENS, TEXT
from tests.e2e.running import CREDENTIAL

TURN = "POST /v1/messages?beta=true"


@pytest.mark.parametrize("asks", [["HEAD /", TURN], [TURN]], ids=["direct", "watched"])
async def test_a_turn(tmp_path: Path, asks: list[str]) -> None:
    """It looks whether the gateway is there, but not where a proxy is set, which is how other calls are found."""
    async with scene_of(tmp_path) as scene:
        scene.configure(".claude/settings.json", documented("json"))
        said = await scene.run("claude", "-p", PROMPT, **(scene.tap.variables if asks == [TURN] else {}))
        assert (said.status, said.out.strip()) == (0, TEXT), said.err
        (asked,) = scene.provider.asked
        assert f"{asked.method} {asked.target}" == TURN
        assert asked.headers["x-api-key"] == CREDENTIAL
        assert "authorization" not in asked.headers
        await scene.charged(MESSAGES_TOKENS, dialect="anthropic.messages", model="claude-sonnet-4-6")
        assert scene.provider.sockets == 0
        assert (scene.tap.asks, scene.tap.statuses) == (asks, [200] * len(asks))
        assert scene.tap.elsewhere == []


async def test_without_credit_it_says_so_at_once(tmp_path: Path) -> None:
    async with scene_of(tmp_path, credit=1) as scene:
        scene.configure(".claude/settings.json", documented("json"))
        said = await scene.run("claude", "-p", PROMPT, **scene.tap.variables)
        assert said.status == 1
        assert "402 This request may cost up to" in said.out
        assert (scene.tap.asks, scene.tap.statuses) == ([TURN], [402])
        assert scene.provider.asked == []
