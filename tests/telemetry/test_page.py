"""Who may read the metrics, and what they get."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from headgate.access.keys import Keys
from headgate.errors import Busy
from headgate.telemetry.page import Page, Readers, to_anybody, to_nobody

KEY = "a key that reads metrics"
BEARER = (b"authorization", b"Bearer " + KEY.encode())


class One:
    """A collector of one family."""

    def collect(self) -> Iterator[Metric]:
        metric = Metric("one", "A number.", "gauge")
        metric.add_sample("one", {}, 1)
        yield metric


async def at_once() -> None:
    """For who guesses a key in a test."""


async def get(page: Page, *headers: tuple[bytes, bytes], **more: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    scope = {"type": "http", "method": "GET", "path": "/metrics", "root_path": "/metrics", "headers": list(headers)}
    await page({**scope, **more}, receive, send)
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    made = Page(One(), Readers(Keys({"metrics": KEY}), wait=at_once))
    yield made
    made.close()


@pytest.fixture
async def open_page() -> AsyncIterator[Page]:
    made = Page(One(), Readers(Keys({}), to_anybody))
    yield made
    made.close()


async def test_who_has_the_key_reads(page: Page) -> None:
    status, headers, body = await get(page, BEARER)
    assert status == 200
    assert headers[b"content-type"].startswith(b"text/plain; version=")
    assert headers[b"content-length"] == str(len(body)).encode()
    assert b"one 1.0\n" in body
    assert b"process_resident_memory_bytes" in body
    assert b"python_gc_collections_total" in body


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Basic " + KEY.encode())],
        [(b"authorization", KEY.encode())],
        [(b"authorization", b"")],
        [(b"x-api-key", KEY.encode())],
        [BEARER, BEARER],
        [(b"authorization", b"Bearer wrong"), BEARER],
    ],
)
async def test_nobody_else_does(page: Page, headers: list[tuple[bytes, bytes]]) -> None:
    status, told, body = await get(page, *headers)
    assert (status, told[b"www-authenticate"]) == (401, b"Bearer")
    assert b"one" not in body.split()
    assert KEY.encode() not in body


async def test_a_wrong_key_has_to_wait() -> None:
    waited = []

    async def wait() -> None:
        waited.append(True)

    page = Page(One(), Readers(Keys({"metrics": KEY}), wait=wait))
    await get(page, BEARER)
    await get(page)
    assert not waited
    await get(page, (b"authorization", b"Bearer wrong"))
    assert waited
    page.close()


async def test_open_to_whoever_reaches_it(open_page: Page) -> None:
    assert (await get(open_page))[0] == 200


async def test_a_wrong_key_is_refused_even_then() -> None:
    page = Page(One(), Readers(Keys({}), to_anybody, at_once))
    assert (await get(page, (b"authorization", b"Bearer wrong")))[0] == 401
    page.close()


async def test_what_cannot_be_known_to_be_open_is_not() -> None:
    async def unknown() -> bool:
        raise Busy("the database does not answer")

    page = Page(One(), Readers(Keys({}), unknown))
    assert (await get(page))[0] == 401
    assert not await to_nobody()
    page.close()


async def test_open_metrics_and_compression_for_who_asks(open_page: Page) -> None:
    asked = [(b"accept", b"application/openmetrics-text;version=1.0.0"), (b"accept-encoding", b"gzip")]
    status, headers, body = await get(open_page, *asked)
    assert (status, headers[b"content-encoding"]) == (200, b"gzip")
    assert headers[b"content-type"].startswith(b"application/openmetrics-text; version=1.0.0")
    assert gzip.decompress(body).endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"path": "/metrics/", "root_path": "/metrics"}, 200),
        ({"path": "/llm/metrics", "root_path": "/llm/metrics"}, 200),
        ({"path": "/metrics", "root_path": ""}, 200),
        ({"path": "/metrics/more", "root_path": "/metrics"}, 404),
        ({"path": "/v1/models", "root_path": ""}, 404),
        ({"method": "HEAD"}, 200),
        ({"method": "POST"}, 405),
    ],
)
async def test_there_is_nothing_else(open_page: Page, more: dict[str, Any], status: int) -> None:
    assert (await get(open_page, **more))[0] == status


async def test_it_speaks_http_only(open_page: Page) -> None:
    with pytest.raises(ValueError, match="over HTTP"):
        await get(open_page, type="websocket")


async def test_the_event_loop_goes_on_while_it_is_rendered() -> None:
    """The rendering ends only when something has happened on the loop meanwhile."""
    happened, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(One):
        def collect(self) -> Iterator[Metric]:
            loop.call_soon_threadsafe(begun.set)
            assert happened.wait(30)
            yield from super().collect()

    happened.set()
    page = Page(Slow(), Readers(Keys({}), to_anybody))
    await asyncio.sleep(0)
    happened.clear()
    begun.clear()
    scrape = asyncio.create_task(get(page))
    await begun.wait()
    happened.set()
    assert (await scrape)[0] == 200
    page.close()


async def test_who_may_read_can_change(page: Page) -> None:
    page.let_in(Readers(Keys({"metrics": "another key for them"}), wait=at_once))
    assert (await get(page, BEARER))[0] == 401
    assert (await get(page, (b"authorization", b"Bearer another key for them")))[0] == 200
