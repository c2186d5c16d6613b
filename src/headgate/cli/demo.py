"""`headgate demo`: the real gateway between recorded providers and plain HTTP clients, to watch.

Three parties. The replay upstream is a process of its own and plays what providers once sent, at a live model's pace.
The gateway runs here, with a database in a temporary folder. The clients are bare sockets, one a request. When the
streams are over, what was metered is read from the database and held against what the providers had reported.
"""

import asyncio
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket

    from rich.console import Console

    from headgate.cli.demo_view import Play
    from headgate.config import Settings
    from headgate.net.server import Server
    from headgate.testing.replay import Recording

_RECORD_PATIENCE = 5.0
"""Seconds to wait for a record; the writer commits within milliseconds."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the table; status 0 only if all was right.")] = False,
    port: Annotated[int, typer.Option(help="Where the gateway listens; a free port if it is taken.")] = 8080,
    speed: Annotated[float, typer.Option(min=0.1, help="Times a live model's pace.")] = 1.0,
) -> None:
    """Watch recorded streams of OpenAI, Anthropic and others pass through a running gateway and be metered. No key."""
    import uvloop
    from rich.console import Console

    console = Console(highlight=False)
    with TemporaryDirectory(prefix="headgate-demo-") as folder, replay_process(speed) as upstream:
        right = uvloop.run(run(Path(folder) / "headgate.db", upstream, console, port, once=once))
    raise typer.Exit(0 if right else 1)


@contextmanager
def replay_process(speed: float) -> Iterator[str]:
    """The replay upstream's address, while it runs. It ends with this process, however that ends."""
    command = [sys.executable, "-m", "headgate.testing.replay", "--until-eof", "--speed", str(speed)]
    # A session of its own: Ctrl-C is for us, and its end follows from ours. The pipe tells it even of a kill -9.
    with subprocess.Popen(  # noqa: S603  (our own module, by our own interpreter)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None  # noqa: S101  (asked for above)
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def run(database: Path, upstream: str, console: "Console", port: int, *, once: bool) -> bool:
    """Start the gateway, play, show; then stay up unless `once`. True if every stream was exact and metered right."""
    from headgate import wiring
    from headgate.net.server import make_server

    taken = listen(port, console)
    port = taken.getsockname()[1]
    admin_key = None if once else secrets.token_urlsafe(18)
    settings = settings_for(database, upstream, port, admin_key)
    started = asyncio.Event()
    server = make_server(wiring.build(settings).application, 1, started.set)
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    await started.wait()
    stop_on_signals(server)
    if admin_key is not None:
        console.out(dashboard(port, admin_key))
    playing = asyncio.create_task(show(database, console, port))
    await asyncio.wait({serving, playing}, return_when=asyncio.FIRST_COMPLETED)
    if server.should_exit or not playing.done():  # stopped by a signal; what plays may have been refused or reset
        playing.cancel()
        await asyncio.gather(serving, playing, return_exceptions=True)
        return False
    right = playing.result()
    if admin_key is None:
        server.should_exit = True
    else:
        console.out(invitation(port, database))  # as it stands: a wrapped line could not be pasted
        console.out(dashboard(port, admin_key))
    await serving
    return right


def listen(port: int, console: "Console") -> "socket.socket":
    """The port asked for, or else a free one."""
    from headgate.errors import ConfigError
    from headgate.net.server import bind

    try:
        return bind("127.0.0.1", port)
    except ConfigError as error:
        console.print(f"{error.message}; taking a free port instead", style="yellow")
        return bind("127.0.0.1", 0)


def stop_on_signals(server: "Server") -> None:
    """Ctrl-C and SIGTERM stop the gateway gracefully, and then the demo goes on to its end.

    uvicorn's own handlers would send the signal again afterwards, and SIGTERM would end us before the clean-up.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)


def settings_for(database: Path, upstream: str, port: int, admin_key: str | None = None) -> "Settings":
    """Settings in which every provider with a recording lives at the replay upstream."""
    from headgate.config import Settings
    from headgate.providers import registry
    from headgate.providers.base import Deployment, Secret
    from headgate.testing.replay import recordings

    providers = {recording.provider: registry.by_name(recording.provider) for recording in recordings()}
    deployments = tuple(
        Deployment(name, provider, provider.root(upstream), Secret("demo")) for name, provider in providers.items()
    )
    admin_keys = {} if admin_key is None else {"demo": admin_key}
    return Settings("127.0.0.1", port, database, deployments, admin_keys=admin_keys)


async def show(database: Path, console: "Console", port: int) -> bool:
    """Send all requests at once, show the answers as they stream, then the table. True if all was right."""
    from rich.live import Live

    from headgate.cli.demo_view import Board, Play, metered, print_answer
    from headgate.testing.replay import recordings

    plays = [Play(recording) for recording in recordings() if recording.stream or recording.path == "/embeddings"]
    console.print(f"headgate on http://127.0.0.1:{port}, between {len(plays)} clients and recorded providers:\n")

    async def play_one(play: Play) -> None:
        await fetch(port, play)
        if not console.is_terminal:
            print_answer(play, console)

    async def play_all() -> None:
        async with asyncio.TaskGroup() as group:
            for play in plays:
                group.create_task(play_one(play))

    if console.is_terminal:
        with Live(Board(plays), console=console, refresh_per_second=12):
            await play_all()
    else:
        await play_all()
    await read_records(database, plays)
    console.print(metered(plays))
    return all(play.exact and play.metered_right for play in plays)


async def fetch(port: int, play: "Play") -> None:
    """Send one request over a socket of its own and feed what comes back to the play."""
    import httptools

    body = json.dumps(request_of(play.recording)).encode()
    lines = f"POST /v1{play.recording.path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"
    head = "\r\n".join((*lines, f"content-length: {len(body)}", "connection: close", "\r\n"))

    class Events:
        def on_header(self, name: bytes, value: bytes) -> None:
            if name.lower() == b"x-headgate-exchange-id":
                play.exchange_id = value.decode()

        def on_body(self, chunk: bytes) -> None:
            play.take(chunk)

        def on_message_complete(self) -> None:
            play.end()

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + body)
        parser = httptools.HttpResponseParser(Events())
        while data := await reader.read(65536):
            parser.feed_data(data)
    finally:
        writer.close()


def request_of(recording: "Recording") -> dict[str, object]:
    """The recorded request, with the provider in front of the model's name, where the gateway looks for it."""
    return {**recording.request, "model": f"{recording.provider}/{recording.model}"}


async def read_records(database: Path, plays: "Sequence[Play]") -> None:
    """Give each play its record from the database file, as another process would read it."""
    from headgate.stores.queries import SqliteRecords

    store = SqliteRecords(database)
    deadline = asyncio.get_running_loop().time() + _RECORD_PATIENCE
    for play in plays:
        while play.exchange_id is not None and play.record is None:
            play.record = store.get(play.exchange_id)
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.02)


def dashboard(port: int, admin_key: str) -> str:
    """Where to look on, and the key to get in with: it is good for this run alone."""
    return f"Dashboard: http://127.0.0.1:{port}/dashboard   sign in with: {admin_key}\n"


def invitation(port: int, database: Path) -> str:
    """What the user can do while the gateway stays up."""
    program = "headgate" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
    address = f"http://127.0.0.1:{port}/v1"
    post = "-H 'content-type: application/json'"
    hello = '"stream": true, "messages": [{"role": "user", "content": "Hello"}]'
    return "\n".join([
        "The gateway stays up; Ctrl-C stops it. Try, in another terminal:",
        "",
        f"  curl -N {address}/chat/completions {post} \\",
        f"    -d '{{\"model\": \"deepseek/deepseek-reasoner\", {hello}}}'",
        f"  curl -N {address}/messages {post} \\",
        f"    -d '{{\"model\": \"claude-sonnet-4-0\", \"max_tokens\": 100, {hello}}}'",
        f"  curl {address}/responses {post} \\",
        "    -d '{\"model\": \"gpt-5\", \"input\": \"Hello\"}'",
        f"  {program} usage --db {database}",
        "",
    ])  # fmt: skip
