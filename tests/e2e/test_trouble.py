"""A database that goes away under load: killed, full, locked.

What runs goes on to its end and is settled when the database is back; what comes meanwhile is refused with a clear
error, rather than served for nothing; and afterwards the books are exact.
"""

import asyncio
import os
import resource
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.books import Answer, GatewayProcess, Witness, agrees, ask, audited, fill, opened
from tests.postgres_server import PostgresDatabase

RUNNING = 24


@dataclass
class Scene:
    """A gateway with streams under way."""

    gateway: GatewayProcess
    witness: Witness
    streams: list["asyncio.Task[Answer]"]


@asynccontextmanager
async def under_load(database: str, folder: Path) -> AsyncIterator[Scene]:
    """Streams that go on for three seconds; at the end, the books are held against the upstream's own log."""
    witness = Witness(pause=0.15)
    async with opened(database) as store:
        await fill(store, credit_nanos=10**15, keys=range(0, 8 * 200, 8))
    async with ScriptedUpstream(witness.handle) as upstream:
        gateway = GatewayProcess(folder, upstream.url, database, patience_seconds=1.0)
        await gateway.start()
        try:
            streams = [asyncio.create_task(ask(gateway.port, 8 * n)) for n in range(RUNNING)]
            async with asyncio.timeout(20):
                while len(witness.asked) < RUNNING:
                    await asyncio.sleep(0.02)
            yield Scene(gateway, witness, streams)
            assert all(answer.whole for answer in await asyncio.gather(*streams)), "they were not disturbed"
            await _served_again(gateway.port)
        finally:
            await gateway.stop()
    async with opened(database) as store:
        kinds = agrees(witness, await audited(store))
    assert kinds["complete"] == len(witness.asked)


async def _refused(scene: Scene, numbers: range) -> None:
    """New requests are told so, soon, and nothing of them goes upstream."""
    seen = len(scene.witness.asked)
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(ask(scene.gateway.port, 8 * n) for n in numbers))
    assert [answer.status for answer in answers] == [503] * len(numbers), answers
    assert all(b"ledger" in answer.body or b"database" in answer.body for answer in answers), answers[0].body
    assert len(scene.witness.asked) == seen


async def _served_again(port: int) -> None:
    async with asyncio.timeout(30):
        for n in range(150, 200):
            if (await ask(port, 8 * n)).whole:
                return
            await asyncio.sleep(0.3)
    pytest.fail("the gateway did not come back")


async def test_a_postgresql_that_is_killed_and_restarted(postgres: PostgresDatabase, tmp_path: Path) -> None:
    async with under_load(postgres.dsn(), tmp_path) as scene:
        postgres.kill()
        await _refused(scene, range(100, 110))
        await asyncio.gather(*scene.streams)
        postgres.start()  # in this thread: the server ends with the one that started it


async def test_a_locked_sqlite_file(tmp_path: Path) -> None:
    database = tmp_path / "books.db"
    async with under_load(str(database), tmp_path) as scene:
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        await _refused(scene, range(100, 110))
        await asyncio.gather(*scene.streams)
        other.execute("ROLLBACK")
        other.close()


async def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with under_load(str(disk.folder / "books.db"), tmp_path) as scene:
            disk.fill(scene.gateway.pid)
            await _refused(scene, range(100, 110))
            await asyncio.gather(*scene.streams)
            disk.free(scene.gateway.pid)


def _write_on(file: BinaryIO) -> None:
    while True:
        file.write(bytes(4096))


class TmpFs:
    """A file system of its own, small enough to be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, pid: int) -> None:
        del pid
        with self._filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            _write_on(file)

    def free(self, pid: int) -> None:
        del pid
        self._filler.unlink()


class FileSizeLimit:
    """Where nothing may be mounted: the kernel refuses the process every write that makes a file longer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def fill(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def free(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def small_disk(folder: Path) -> Iterator[TmpFs | FileSizeLimit]:
    """A disk that can be filled: for root a real one, else as near as it gets."""
    if os.geteuid() == 0:
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "headgate-test", str(folder)]
        if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
            try:
                yield TmpFs(folder)
            finally:
                subprocess.run(["umount", "-l", str(folder)], check=True)
            return
        folder.rmdir()
    yield FileSizeLimit(folder)
