"""A real PostgreSQL server of the tests' own: private, on a port of this host that is its own."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.ports import kept_port

PASSWORD = "corr3ct-h0rse/b@ttery"
"""With characters that a DSN has to escape."""
_ESCAPED = "corr3ct-h0rse%2Fb%40ttery"
_NUMBERS = itertools.count()


class PostgresServer:
    """The server's process. As root it runs as the system's user postgres, since it refuses to run as root."""

    def __init__(self, programs: Path, folder: Path, *, synced: bool) -> None:
        self._programs, self._folder = programs, folder
        self._options = [] if synced else ["-F"]
        self._data = folder / "data"
        # It ends with the tests, however they end; or rather with the thread that started it, which must live as long.
        self._as = ["setpriv", "--pdeathsig", "INT"]
        self._spawner = ThreadPoolExecutor(max_workers=1)
        self._environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        if os.geteuid() == 0:
            self._as += ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
            shutil.chown(folder, "postgres", "postgres")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = kept_port()
        self._initialise()

    @property
    def pid(self) -> int:
        """Of the server that runs: the parent of all that serve its connections."""
        assert self._process is not None
        return self._process.pid

    def allow(self, network: str) -> None:
        """Let the user in from there too, once the server is started again."""
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {network} scram-sha-256\n")

    def dsn(self, database: str) -> str:
        return f"postgresql://headgate:{_ESCAPED}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and wait until it answers. Starting a running server changes nothing."""
        if self._process is not None:
            return
        self._process = self._spawner.submit(self._spawn).result()
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False, cwd=self._folder).returncode:
            assert self._process.poll() is None, self.log()[-2_000:]

    def _spawn(self) -> subprocess.Popen[bytes]:
        where = ["-D", str(self._data), "-p", str(self.port), "-k", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*self._as, str(self._programs / "postgres"), *where, *self._options],
                cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def stop(self) -> None:
        """Break off what is under way, and shut down in good order."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End at once, as in a crash: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    async def execute(self, sql: str) -> None:
        """Run a statement that concerns no single database."""
        connection = await asyncpg.connect(self.dsn("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def log(self) -> str:
        """What the server has told since it was first started."""
        return (self._folder / "log").read_text()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        subprocess.run(
            [
                *self._as, str(self._programs / "initdb"), "-D", str(self._data), "--username", "headgate",
                "--auth", "scram-sha-256", "--pwfile", str(password), "--encoding", "UTF8", "--locale", "C.UTF-8",
            ],
            cwd=self._folder, env=self._environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


class PostgresDatabase:
    """A fresh database on the server."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = f"test_{next(_NUMBERS)}"

    def dsn(self) -> str:
        """How to reach it."""
        return self.server.dsn(self.name)

    async def make(self, options: str = "") -> None:
        await self.server.execute(f"CREATE DATABASE {self.name} {options}")

    async def empty(self) -> None:
        """As it was at first."""
        await self.query("DROP SCHEMA public CASCADE")
        await self.query("CREATE SCHEMA public")

    async def drop(self) -> None:
        await self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")

    async def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement, on a connection of its own."""
        connection = await asyncpg.connect(self.dsn())
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def kill(self) -> None:
        self.server.kill()


@contextmanager
def running_server(*, synced: bool = True) -> Iterator[PostgresServer]:
    """A server in a temporary folder. Fails where the server's programs are not installed.

    What it commits is in the kernel's hands before it says so, and thus outlives the server, however that ends; that it
    also outlives the machine, synced to the disk, takes many times as long.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="headgate-postgres-"))
    folder.chmod(0o755)
    try:
        server = PostgresServer(programs, folder, synced=synced)
        server.start()
        yield server
        server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder of the server's programs; Debian keeps them off the PATH. The newest, if there are several."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "the tests need a PostgreSQL server: install the package postgresql (.ci/run does)"
    return found[-1].parent
