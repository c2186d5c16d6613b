"""The dashboard's files: what is served, under which headers, and what is not."""

import gzip
import re

import aiohttp
import pytest
from yarl import URL

from headgate.admin.dashboard import CONTENT_POLICY, Answer, Dashboard
from headgate.config import dashboard_files
from tests.admin.serving import applications

PAGE = b"<!doctype html><title>headgate</title>" + b"<p>a page</p>" * 50
SCRIPT = b"console.log('hello');" * 200
FONT = bytes(range(256)) * 20
FILES = {"index.html": PAGE, "assets/index-1a2b.js": SCRIPT, "assets/font-3c.woff2": FONT, "favicon.svg": b"<svg/>"}

Pair = tuple[bytes, bytes]


def asked(path: str, *headers: Pair, method: str = "GET", files: dict[str, bytes] = FILES) -> Answer:
    return Dashboard(files).answer(method, path, headers)


def header(answer: Answer, name: bytes) -> bytes | None:
    values = [value for own, value in answer.headers if own == name]
    assert len(values) <= 1
    return values[0] if values else None


@pytest.mark.parametrize(
    ("path", "body", "kind", "cache"),
    [
        ("/assets/index-1a2b.js", SCRIPT, b"text/javascript; charset=utf-8", b"public, max-age=31536000, immutable"),
        ("/assets/font-3c.woff2", FONT, b"font/woff2", b"public, max-age=31536000, immutable"),
        ("/favicon.svg", b"<svg/>", b"image/svg+xml", b"no-cache"),
        ("/index.html", PAGE, b"text/html; charset=utf-8", b"no-cache"),
        ("", PAGE, b"text/html; charset=utf-8", b"no-cache"),
        ("/", PAGE, b"text/html; charset=utf-8", b"no-cache"),
        ("/exchanges/ex_0123", PAGE, b"text/html; charset=utf-8", b"no-cache"),
        ("/models/gpt-4.1", PAGE, b"text/html; charset=utf-8", b"no-cache"),
        ("/keys/ä", PAGE, b"text/html; charset=utf-8", b"no-cache"),
    ],
)
def test_files_and_pages(path: str, body: bytes, kind: bytes, cache: bytes) -> None:
    answer = asked(path)
    assert (answer.status, answer.body) == (200, body)
    assert header(answer, b"content-type") == kind
    assert header(answer, b"cache-control") == cache
    assert header(answer, b"content-length") == b"%d" % len(body)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/missing.js", "/assets/", "/assets/../index.html", "/../config.py", "/exchanges/../../wiring.py",
        "/..\\config.py", "/./index.html", "/a\x00b", "/a\nb",
    ],
)  # fmt: skip
def test_what_can_only_be_a_mistake(path: str) -> None:
    answer = asked(path)
    assert answer.status == 404
    assert header(answer, b"cache-control") == b"no-store"


@pytest.mark.parametrize("path", ["/", "/assets/index-1a2b.js", "/assets/missing.js"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_answer_keeps_strangers_out(path: str, method: str) -> None:
    answer = asked(path, method=method)
    policy = header(answer, b"content-security-policy")
    assert policy == CONTENT_POLICY.encode()
    assert b"unsafe" not in policy
    assert not re.search(rb"https?:|\*", policy)
    assert header(answer, b"x-content-type-options") == b"nosniff"
    assert header(answer, b"referrer-policy") == b"no-referrer"
    assert header(answer, b"permissions-policy")


def test_only_reading() -> None:
    answer = asked("/", method="POST")
    assert (answer.status, header(answer, b"allow")) == (405, b"GET, HEAD")
    head = asked("/", method="HEAD")
    assert (head.status, head.body, header(head, b"content-length")) == (200, b"", b"%d" % len(PAGE))


@pytest.mark.parametrize(
    ("accepts", "shrinks"),
    [(b"gzip", True), (b"br, gzip;q=0.8", True), (b"br", False), (b"gzip;q=0", False), (b"gzip; q=0.0", False)],
)
def test_gzip_for_who_takes_it(accepts: bytes, shrinks: bool) -> None:
    answer = asked("/assets/index-1a2b.js", (b"accept-encoding", accepts))
    assert header(answer, b"content-encoding") == (b"gzip" if shrinks else None)
    assert (gzip.decompress(answer.body) if shrinks else answer.body) == SCRIPT
    assert header(answer, b"content-length") == b"%d" % len(answer.body)
    assert header(answer, b"vary") == b"accept-encoding"


def test_what_would_not_shrink_is_left_alone() -> None:
    for path in ("/assets/font-3c.woff2", "/favicon.svg"):
        assert header(asked(path, (b"accept-encoding", b"gzip")), b"content-encoding") is None


def test_what_a_browser_has_it_is_not_sent_again() -> None:
    etag = header(asked("/"), b"etag")
    assert etag is not None
    again = asked("/exchanges", (b"if-none-match", b'"other", ' + etag))
    assert (again.status, again.body) == (304, b"")
    assert header(again, b"etag") == etag
    assert asked("/", (b"if-none-match", b'"other"')).status == 200
    assert header(asked("/", files={"index.html": PAGE + b"!"}), b"etag") != etag


def test_without_a_page_there_is_nothing() -> None:
    assert asked("/", files={}).status == 404


def test_the_packaged_page_asks_for_nothing_from_elsewhere() -> None:
    files = dashboard_files()
    page = files["index.html"].decode()
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]*\ssrc=)", page), "the policy lets no script stand in the page"
    assert not re.search(r"\son\w+=|\sstyle=", page)
    for name in re.findall(r"(?:src|href)=[\"']?/dashboard/([^\"'> ]+)", page):
        assert name in files


async def test_over_a_socket_tricks_with_paths_find_nothing() -> None:
    async with applications({"/dashboard": Dashboard(FILES)}) as root, aiohttp.ClientSession() as http:
        statuses = {}
        for path in ["/dashboard", "/dashboard/", "/dashboard/%2e%2e/x", "/dashboard/..%2fx", "/dashboard/%5c..%5cx",
                     "/dashboard/assets/%2e%2e%2f%2e%2e%2fconfig.py", "/dashboard/a/../../admin"]:  # fmt: skip
            async with http.get(URL(root + path, encoded=True)) as got:
                statuses[path] = got.status
                assert b"import" not in await got.read()
    assert [path for path, status in statuses.items() if status == 200] == ["/dashboard", "/dashboard/"]
