"""`headgate serve`: run the gateway."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from headgate.config import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    config: Annotated[Path | None, typer.Option(help="A headgate.toml; without it the environment decides.")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT instead of the config's.")] = None,
    database: Annotated[Path | None, typer.Option(help="The SQLite file instead of the config's.")] = None,
) -> None:
    """Run the gateway: providers from headgate.toml, or from OPENAI_API_KEY, ANTHROPIC_API_KEY and their like."""
    import atexit
    import gc
    import io
    import signal
    import sys

    from headgate import wiring
    from headgate.cli.progress import waiting
    from headgate.config import load
    from headgate.net.http_protocol import ClientLimits
    from headgate.net.server import bind, make_server
    from headgate.telemetry.log import LEVELS, LogWriter, set_up

    def read(at: str | None = None) -> "Settings":
        settings = load(config, listen=at or listen)
        return settings if database is None else replace(settings, database=database)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something that could be given other settings
    settings = read()
    taken = bind(settings.host, settings.port)
    port = taken.getsockname()[1]
    log = LogWriter(io.FileIO(sys.stderr.fileno(), "w", closefd=False), as_json_lines=settings.log.format == "json")
    atexit.register(log.close)
    set_up(log, LEVELS[settings.log.level])
    with waiting("Opening the database"):  # a new version may have to change it first
        assembly = wiring.build(settings, log=log)

    # What stands now stands for good, the price book above all: the collector need not look at it again and again, and
    # what an exchange leaves behind is freed by its references. A quarter of a request's CPU (docs/performance.md).
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)

    def greet() -> None:
        typer.echo(greeting(replace(settings, port=port)))
        on_hangup(partial(assembly.reloading.reload, read))

    limits = settings.limits
    patience = ClientLimits(limits.client_head_seconds, limits.client_body_seconds, limits.client_idle_seconds)
    server = make_server(assembly.application, limits.stop_seconds, greet, client_limits=patience)
    server.run(sockets=[taken])


def on_hangup(reload: "Callable[[], Coroutine[Any, Any, None]]") -> None:
    """Read the settings anew whenever SIGHUP comes; on the running event loop. What is wrong with them is logged."""
    import asyncio
    import signal

    from headgate.errors import HeadgateError

    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[None]] = set()

    async def reloaded() -> None:
        with suppress(HeadgateError):  # which is in the log
            await reload()

    def begin() -> None:
        task = loop.create_task(reloaded())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)


def greeting(settings: "Settings") -> str:
    """What the gateway serves, where, and three lines to try, as text for a terminal."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}"
    database = "PostgreSQL" if settings.postgres is not None else settings.database
    lines = [f"headgate serves {address}   (records and ledger in {database})"]
    if settings.keys:
        lines.append(f"  clients need one of {len(settings.keys)} gateway keys, or a virtual key")
    elif settings.access.require_keys:
        lines.append("  clients need a virtual key: headgate key create NAME --account ACCOUNT")
    elif settings.allow_unprotected:
        lines.append("  OPEN: no gateway keys, and allow_unprotected is set: whoever reaches it spends your credit")
    else:
        lines.append("  no gateway keys are set: serving this machine only (loopback), until a virtual key is made")
    if settings.admin_keys:
        lines.append(f"  dashboard at {address}/dashboard, admin API at {address}/admin/v1")
    else:
        lines.append(
            f"  dashboard at {address}/dashboard, once there is an admin key: HEADGATE_ADMIN_KEY or [admin.keys]"
        )
    if not settings.deployments:
        lines.append("  no provider yet: set OPENAI_API_KEY, ANTHROPIC_API_KEY, ... or write a headgate.toml")
        lines.append("  or see it work without any key: headgate demo")
        return "\n".join(lines)
    lines.extend(f"  {deployment.name:<14} {deployment.base_url}" for deployment in settings.deployments)
    lines += ["", "Try:", *examples(settings, address)]
    return "\n".join(lines)


_MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "groq": "llama-3.3-70b-versatile"}


def examples(settings: "Settings", address: str) -> list[str]:
    """Three curl lines for a gateway at this address, with a provider that it really has."""
    locked = bool(settings.keys) or settings.access.require_keys
    key = " -H 'Authorization: Bearer YOUR_GATEWAY_KEY'" if locked else ""
    first = settings.deployments[0]
    model = f"{first.name}/{_MODELS.get(first.provider.name, 'MODEL')}"
    anthropic = "anthropic.messages" in first.provider.dialects and "openai.chat" not in first.provider.dialects
    path = "/v1/messages" if anthropic else "/v1/chat/completions"
    cap = '"max_tokens": 100, ' if anthropic else ""
    body = f'{{"model": "{model}", {cap}"stream": true, "messages": [{{"role": "user", "content": "Say hello."}}]}}'
    return [
        f"  curl {address}/v1/models{key}",
        f"  curl -N {address}{path}{key} -H 'content-type: application/json' \\\n    -d '{body}'",
        f"  curl {address}/p/{first.name}/v1/models{key}",
    ]
