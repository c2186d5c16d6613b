"""An agent in an empty home, its configuration as docs/clients.md has it, a gateway before it and a provider behind."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from headgate.access.virtual import VirtualKey, digest_of, hint_of, key_text
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.records import Ending, Record, Settled
from headgate.usage import Basis
from tests.clients.provider import Provider, served
from tests.clients.tap import Tap, tapped
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL, Running, serving

ROOT = Path(__file__).parents[2]
COMMANDS = ROOT / ".clients" / "node_modules" / ".bin"
KEY = key_text(bytes(range(24)))
CREDIT_NANOS = 100 * 10**9
PROMPT = "Say what runs through the headgate."


def documented(language: str) -> str:
    """The one block of docs/clients.md in this language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "clients.md").read_text(), re.DOTALL)
    assert isinstance(block, str)
    return block


@dataclass(frozen=True)
class Said:
    """How a run of an agent ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Scene:
    """Everything an agent meets."""

    gateway: Running
    provider: Provider
    tap: Tap
    home: Path

    def configure(self, path: str, text: str) -> None:
        """Put a file into the agent's home, with this gateway's address and key for those of the docs."""
        file = self.home / path
        file.parent.mkdir()
        file.write_text(text.replace("http://127.0.0.1:8080", self.tap.url).replace("hg-...", KEY))

    async def run(self, command: str, *arguments: str, **variables: str) -> Said:
        """Run an agent to its end, in an empty folder, with an environment of nothing but these variables."""
        work = self.home / "work"
        work.mkdir()
        process = await asyncio.create_subprocess_exec(
            COMMANDS / command,
            *arguments,
            cwd=work,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())

    async def charged(self, *tokens: tuple[int, int], dialect: str, model: str) -> list[Record]:
        """The records of what the provider reported, in this order: all there are that are billed, each one paid."""
        found = [record for record in await self.gateway.log.all(len(tokens)) if record.bill.charge_nanos is not None]
        assert [(r.reading.usage.input_tokens, r.reading.usage.output_tokens) for r in found] == list(tokens)
        for record in found:
            assert (record.ending, record.reading.basis, record.bill.settled) == (
                Ending.COMPLETE, Basis.REPORTED, Settled.CAPTURED,
            )  # fmt: skip
            assert (record.key_id, record.bill.account) == ("key_1", "team")
            assert (record.dialect, record.model_asked) == (dialect, model)
        account = await self.gateway.log.account("team")
        assert account is not None
        assert account.held_nanos == 0
        assert 0 < CREDIT_NANOS - account.posted_nanos == sum(r.bill.charge_nanos or 0 for r in found)
        return found


@asynccontextmanager
async def scene_of(home: Path, *, credit: int = CREDIT_NANOS, websocket: bool = True) -> AsyncIterator[Scene]:
    """A scripted provider, a gateway with one funded key, and a tap between it and the agent."""
    async with served() as provider:
        kinds = [registry.by_name(name) for name in ("openai", "anthropic")]
        deployments = tuple(
            Deployment(kind.name, kind, kind.root(provider.url), Secret(CREDENTIAL), websocket=websocket)
            for kind in kinds
        )
        async with serving(deployments) as gateway, tapped(gateway.port) as tap:
            log = gateway.log
            await log.submit(OpenAccount("team", AccountKind.PREPAID, 0))
            await log.submit(Post("first", "team", EntryKind.TOP_UP, credit, 0))
            digest = digest_of(KEY.encode(), ACCESS_SECRET.encode())
            await log.put_key(VirtualKey("key_1", "alice", "team", digest, hint_of(KEY), 0))
            yield Scene(gateway, provider, tap, home)
