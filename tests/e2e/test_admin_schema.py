"""The admin API as its own OpenAPI document describes it, asked by a generator of requests (schemathesis).

Valid and invalid ones, over real sockets, of a gateway on SQLite: it never fails, and whatever it answers is in the
document: the status, the content type, the body's shape. A key is needed everywhere, and no other method is taken.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from headgate.config import Settings
from headgate.net.server import bind, make_server
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.sections import AccessSection
from headgate.stores.sqlite import SqliteStore
from headgate.wiring import build
from tests.admin.serving import DOCUMENT

KEY = "an admin key, long enough"
ENDLESS = "/live/events"
"""Its answer has no end; tests/e2e/test_live.py reads it."""

EXAMPLES = 3
"""Drawn for each operation, beside those that cover what its types can be."""
BOUNDED = "/series"
"""Takes no more than so many steps, which no schema can say."""

SCHEMA = schemathesis.openapi.from_dict(DOCUMENT).exclude(path=ENDLESS).exclude(method="POST", path="/session")
"""Signing in takes its time with wrong keys; tests/admin/test_signin.py has it."""


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway, served in a thread of its own: the generator knows no event loop."""
    folder = tmp_path_factory.mktemp("books")
    taken = bind("127.0.0.1", 0)
    port = taken.getsockname()[1]
    openai = registry.by_name("openai")
    deployment = Deployment("openai", openai, openai.base_url, Secret("sk-the-credential"))
    access, admin = AccessSection(secret="a secret of the tests' own"), {"ada": KEY}
    gateway = Settings("127.0.0.1", port, folder / "books.db", (deployment,), access=access, admin_keys=admin)
    started, server = threading.Event(), []

    def serve() -> None:
        async def run() -> None:
            store = SqliteStore(Path(folder / "books.db"))
            server.append(make_server(build(gateway, store).application, 1, started.set))
            await server[0].serve(sockets=[taken])

        asyncio.run(run())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.Server.capture_signals", lambda _: nullcontext())  # signals are the main thread's
        thread = threading.Thread(target=serve)
        thread.start()
        assert started.wait(30)
        yield f"http://127.0.0.1:{port}/admin/v1"
        server[0].should_exit = True
        thread.join()


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_the_answer_is_in_the_document(case: Any, base_url: str) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    excluded = [ignored_auth, *([positive_data_acceptance] if case.path == BOUNDED else [])]
    case.call_and_validate(base_url=base_url, headers=headers, excluded_checks=excluded, timeout=20)
