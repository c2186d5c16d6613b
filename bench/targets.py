"""What stands between the load and the upstream: nothing, nginx, or headgate. Rendering a configuration is pure."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench import accounts, lookers, script
from bench.machine import pinned

_START_SECONDS = 20.0
_STOP_SECONDS = 20.0
_NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

NGINX_INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "nginx-light")
"""The one command that brings nginx to a Debian machine; it needs root."""


@dataclass(frozen=True, slots=True)
class Running:
    """A target that listens on 127.0.0.1:`port`. `pid` is None where there is no process to measure."""

    name: str
    port: int
    pid: int | None = None
    home: Path | None = None
    """The folder of its files."""
    watchable: bool = False
    """It has a dashboard to look at."""


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway under test.

    Args:
        name: its column.
        prepare: writes its configuration into an empty folder, for its own port and the upstream's, and gives the
            command that runs it in the foreground.
        watchable: it has a dashboard to look at.
        metered: counts in the folder of one that has stopped the exchanges it metered; None for one that does not.
    """

    name: str
    prepare: Callable[[Path, int, int], list[str]]
    metered: Callable[[Path], int] | None = None
    watchable: bool = False


def nginx_path() -> str | None:
    """The nginx program; Debian keeps it in /usr/sbin, which is not on every user's path."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def nginx_config(folder: Path, port: int, upstream_port: int) -> str:
    """One worker, no access log, no buffering, connections to the upstream kept: the fastest plain proxy it can be."""
    paths = "\n".join(f"  {name}_temp_path {folder}/{name};" for name in _NGINX_FOLDERS)
    return f"""\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
{paths}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  upstream scripted {{
    server 127.0.0.1:{upstream_port};
    keepalive 2048;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://scripted;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def headgate_config(folder: Path, port: int, upstream_port: int) -> str:
    """One process, metering on, records in SQLite on disk: as `headgate serve` runs for anyone."""
    return f"""\
listen = "127.0.0.1:{port}"
database = "{folder}/headgate.db"
fallback = "scripted"

[providers.scripted]
kind = "openai_compatible"
base_url = "http://127.0.0.1:{upstream_port}/v1"
api_key = "sk-bench"
"""


def metering_config(folder: Path, port: int, upstream_port: int) -> str:
    """An operator's key: metered and recorded, and no account to charge."""
    return (
        headgate_config(folder, port, upstream_port)
        + f"""
[keys]
bench = "{script.KEY}"
"""
    )


def accounts_config(folder: Path, port: int, upstream_port: int, models: Sequence[str]) -> str:
    """The same with all accounting on: a virtual key, a prepaid account, prices, holds and settlement."""
    rates = 'input_mtok = "2.5"\ncache_read_mtok = "1.25"\noutput_mtok = "10"\n'
    named = (*models, script.SERVED_MODEL)
    prices = "".join(f'[prices.override."openai_compatible/{name}"]\n{rates}' for name in named)
    return (
        headgate_config(folder, port, upstream_port)
        + f"""
[access]
secret = "{accounts.SECRET}"

[admin.keys]
bench = "{lookers.KEY}"

{prices}"""
    )


def _prepare_nginx(folder: Path, port: int, upstream_port: int) -> list[str]:
    config = folder / "nginx.conf"
    config.write_text(nginx_config(folder, port, upstream_port))
    return [nginx_path() or "nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)]


def _prepare_headgate(folder: Path, port: int, upstream_port: int) -> list[str]:
    config = folder / "headgate.toml"
    config.write_text(metering_config(folder, port, upstream_port))
    return [sys.executable, "-m", "headgate", "serve", "--config", str(config)]


def _prepare_accounts(models: Sequence[str], folder: Path, port: int, upstream_port: int) -> list[str]:
    config = folder / "headgate.toml"
    config.write_text(accounts_config(folder, port, upstream_port, models))
    database = folder / "headgate.db"
    subprocess.run([sys.executable, "-m", "bench.accounts", str(database)], check=True)
    return [sys.executable, "-m", "headgate", "serve", "--config", str(config)]


def _settled_by_headgate(folder: Path) -> int:
    """Exchanges that were charged, if the books are exact to the nano-dollar."""
    with closing(sqlite3.connect(folder / "headgate.db")) as books:
        ((charged, count),) = books.execute(
            "SELECT sum(charge_nanos), count(*) FROM records WHERE settled = 'captured' AND basis = 'reported'"
        )
        ((posted, held),) = books.execute("SELECT posted_nanos, held_nanos FROM accounts")
    return int(count) if (posted, held) == (accounts.CREDIT_NANOS - charged, 0) else 0


def _metered_by_headgate(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "headgate.db")) as records:
        ((count,),) = records.execute(
            "SELECT count(*) FROM records WHERE ending = 'complete' AND basis = 'reported' AND output_tokens > 0"
        )
        return int(count)


NGINX = Target("nginx", _prepare_nginx)
HEADGATE = Target("headgate", _prepare_headgate, _metered_by_headgate)


def with_accounts(models: Sequence[str]) -> Target:
    """Headgate with all accounting on; the models are those that will be asked for, which need a price."""
    return Target("headgate, accounts", partial(_prepare_accounts, models), _settled_by_headgate, watchable=True)


@contextmanager
def upstream(cores: frozenset[int]) -> Iterator[Running]:
    """The scripted upstream, listening; it stands in the table as `direct`."""
    port = free_port()
    with _process("upstream", [sys.executable, "-m", "bench.upstream", str(port)], port, cores, None) as running:
        yield Running("direct", running.port)


@contextmanager
def gateway(target: Target, upstream_port: int, cores: frozenset[int], folder: Path) -> Iterator[Running]:
    """A gateway, listening, its configuration and output in a new folder below `folder`."""
    port = free_port()
    home = Path(tempfile.mkdtemp(prefix=f"{target.name.replace(', ', '-')}-", dir=folder))
    command = target.prepare(home, port, upstream_port)
    with _process(target.name, command, port, cores, home / "output.txt") as running:
        yield replace(running, home=home, watchable=target.watchable)


@contextmanager
def _process(name: str, command: list[str], port: int, cores: frozenset[int], log: Path | None) -> Iterator[Running]:
    """A process on its cores until the end of the block; then it is asked to stop, and waited for.

    Raises RuntimeError if it does not listen or stop in time, or ends with a failure.
    """
    with (log or Path(os.devnull)).open("wb") as output, pinned(cores):
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if log else None)
    try:
        _await_listening(name, process, port, log)
        yield Running(name, port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"{name} did not stop within {_STOP_SECONDS:.0f} s of SIGTERM") from None


def _await_listening(name: str, process: subprocess.Popen[bytes], port: int, log: Path | None) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    said = log.read_text(errors="replace").strip() if log else ""
    raise RuntimeError(f"{name} does not listen on port {port}: {said or 'it said nothing'}")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
