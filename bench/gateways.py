"""The gateways under test: how each is configured, as fast as it sensibly can be. Rendering a configuration is pure."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from bench import accounts, lookers, script
from bench.script import Script
from bench.targets import Target

_ROOT = Path(__file__).parent.parent
_NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_APT = ("apt-get", "install", "--yes", "--no-install-recommends")
LITELLM = _ROOT / ".venv-litellm" / "bin" / "litellm"
PORTKEY_PROGRAM = (
    _ROOT / ".bench" / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
)
UPSTREAM_KEY = "sk-bench"


def debian_program(name: str) -> str | None:
    """A program of the distribution; Debian keeps some in /usr/sbin, which is not on every user's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


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
  client_body_buffer_size 256k;
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


def haproxy_config(port: int, upstream_port: int) -> str:
    """One thread, no log, connections to the upstream kept and shared, nothing waited with: frames pass at once."""
    return f"""\
global
  nbthread 1
  maxconn 8192

defaults
  mode http
  option http-keep-alive
  option http-no-delay
  http-reuse always
  timeout connect 10s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s

frontend bench
  bind 127.0.0.1:{port} backlog 2048
  default_backend scripted

backend scripted
  server scripted 127.0.0.1:{upstream_port} pool-max-conn 2048 pool-purge-delay 600s
"""


def headgate_config(port: int, upstream_port: int, database: str) -> str:
    """One process, metering on, records in SQLite on disk: as `headgate serve` runs for anyone."""
    return f"""\
listen = "127.0.0.1:{port}"
database = "{database}"
fallback = "scripted"

[providers.scripted]
kind = "openai_compatible"
base_url = "http://127.0.0.1:{upstream_port}/v1"
api_key = "{UPSTREAM_KEY}"
"""


def metering_config(port: int, upstream_port: int, database: str) -> str:
    """An operator's key: metered and recorded, and no account to charge."""
    return f'{headgate_config(port, upstream_port, database)}\n[keys]\nbench = "{script.KEY}"\n'


def accounts_config(port: int, upstream_port: int, database: str, models: Sequence[str]) -> str:
    """The same with all accounting on: a virtual key, a prepaid account, prices, holds and settlement."""
    rates = 'input_mtok = "2.5"\ncache_read_mtok = "1.25"\noutput_mtok = "10"\n'
    named = (*models, script.SERVED_MODEL)
    prices = "".join(f'[prices.override."openai_compatible/{name}"]\n{rates}' for name in named)
    return f"""\
{headgate_config(port, upstream_port, database)}
[access]
secret = "{accounts.SECRET}"

[admin.keys]
bench = "{lookers.KEY}"

{prices}"""


def litellm_config(upstream_port: int, scripts: Sequence[Script]) -> str:
    """Each model by its name, no retries, no database, nothing logged; JSON is YAML too."""
    kinds = {"chat": "openai", "responses": "openai", "messages": "anthropic"}
    bases = {"openai": f"http://127.0.0.1:{upstream_port}/v1", "anthropic": f"http://127.0.0.1:{upstream_port}"}
    models = [
        {
            "model_name": asked.model,
            "litellm_params": {
                "model": f"{kinds[asked.api]}/{asked.model}",
                "api_base": bases[kinds[asked.api]],
                "api_key": UPSTREAM_KEY,
            },
        }
        for asked in {asked.model: asked for asked in scripts}.values()
    ]
    settings = {"num_retries": 0, "request_timeout": 600, "turn_off_message_logging": True, "set_verbose": False}
    router = {"num_retries": 0, "disable_cooldowns": True}
    return json.dumps({"model_list": models, "litellm_settings": settings, "router_settings": router}, indent=2)


LITELLM_ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    "DISABLE_ADMIN_UI": "true",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
}
"""As its own guide to production has it, and nothing fetched from the network."""


def portkey_headers(api: str, upstream_port: int) -> bytes:
    """Portkey learns from each request where it goes."""
    provider = "anthropic" if api == "messages" else "openai"
    return (
        f"x-portkey-provider: {provider}\r\nx-portkey-custom-host: http://127.0.0.1:{upstream_port}/v1\r\n"
    ).encode()


def _prepare_nginx(folder: Path, port: int, upstream_port: int) -> list[str]:
    config = folder / "nginx.conf"
    config.write_text(nginx_config(folder, port, upstream_port))
    return [debian_program("nginx") or "nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)]


def _prepare_haproxy(folder: Path, port: int, upstream_port: int) -> list[str]:
    config = folder / "haproxy.cfg"
    config.write_text(haproxy_config(port, upstream_port))
    return [debian_program("haproxy") or "haproxy", "-db", "-f", str(config)]


def _prepare_headgate(folder: Path, port: int, upstream_port: int) -> list[str]:
    return serving(folder, metering_config(port, upstream_port, f"{folder}/headgate.db"))


def _prepare_accounts(models: Sequence[str], folder: Path, port: int, upstream_port: int) -> list[str]:
    database = folder / "headgate.db"
    subprocess.run([sys.executable, "-m", "bench.accounts", str(database)], check=True)
    return serving(folder, accounts_config(port, upstream_port, str(database), models))


def serving(folder: Path, config: str, *more: str) -> list[str]:
    """The command that serves with this configuration, which it writes."""
    path = folder / "headgate.toml"
    path.write_text(config)
    return [sys.executable, "-m", "headgate", "serve", "--config", str(path), *more]


def _prepare_litellm(scripts: Sequence[Script], folder: Path, port: int, upstream_port: int) -> list[str]:
    config = folder / "config.yaml"
    config.write_text(litellm_config(upstream_port, scripts))
    environment = [f"{name}={value}" for name, value in LITELLM_ENVIRONMENT.items()]
    command = [str(LITELLM), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return ["env", "-C", str(folder), *environment, *command]


def _prepare_portkey(folder: Path, port: int, upstream_port: int) -> list[str]:
    del upstream_port
    return [
        "env",
        "-C",
        str(folder),
        "NODE_ENV=production",
        "node",
        str(PORTKEY_PROGRAM),
        "--headless",
        f"--port={port}",
    ]


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


def _file(path: Path) -> Callable[[], str | None]:
    return lambda: str(path) if path.exists() else None


NGINX = Target(
    "nginx", _prepare_nginx, program=partial(debian_program, "nginx"), install=(*_APT, "nginx-light")
)  # fmt: skip
HAPROXY = Target(
    "haproxy", _prepare_haproxy, program=partial(debian_program, "haproxy"), install=(*_APT, "haproxy")
)  # fmt: skip
HEADGATE = Target("headgate", _prepare_headgate, _metered_by_headgate)
ACCOUNTS = "headgate, accounts"
PORTKEY = Target(
    "portkey", _prepare_portkey, exact=False, headers=portkey_headers,
    program=_file(PORTKEY_PROGRAM), install=("make", ".bench/portkey/.installed"),
)  # fmt: skip


def with_accounts(models: Sequence[str]) -> Target:
    """Headgate with all accounting on; the models are those that will be asked for, which need a price."""
    return Target(ACCOUNTS, partial(_prepare_accounts, models), _settled_by_headgate, watchable=True)


def litellm(scripts: Sequence[Script]) -> Target:
    """LiteLLM's proxy, one worker; it must know every model that will be asked for."""
    return Target(
        "litellm", partial(_prepare_litellm, scripts), exact=False, slow=True,
        program=_file(LITELLM), install=("make", ".venv-litellm/.installed"),
    )  # fmt: skip


def all_of(scripts: Sequence[Script]) -> list[Target]:
    """Every gateway, in the order of the table's columns."""
    models = sorted({asked.model for asked in scripts})
    return [NGINX, HAPROXY, HEADGATE, with_accounts(models), litellm(scripts), PORTKEY]
