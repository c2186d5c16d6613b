"""The dashboard's pages: prebuilt files, served from memory under a content policy that lets nothing else in.

The files are known by their names from the start, so there is no path to climb out of: whatever is not among them is a
page of the dashboard's own, which finds its way by its address, or is not there. They hold no secret and need no key;
what they show comes from the admin API, which does.
"""

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""W3C Content Security Policy 3. What is shown was written by strangers (model names, errors, bodies): even a fault in
the page must not run it, fetch anything from elsewhere or send anything there. Trusted Types: no text becomes HTML."""

_ALWAYS: Headers = [
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]

_PAGE = "index.html"
_HASHED = "assets/"
"""Files below it have their content's hash in their names: they never change, and no page is called so."""
_FOREVER, _ASK = b"public, max-age=31536000, immutable", b"no-cache"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
_SHRINKING = frozenset({".html", ".js", ".css", ".json", ".svg", ".txt"})


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is served."""

    headers: Headers
    etag: bytes
    body: bytes
    shrunk: bytes | None
    """By gzip, where that is worth it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes = b""


class Dashboard:
    """Answers with the dashboard's files; an ASGI application for any mount."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """`files` by their paths, such as "index.html" and "assets/index-1a2b.js"."""
        self._files = {name: _file(name, body) for name, body in files.items()}

    def answer(self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]) -> Answer:
        """The answer for a path below the mount."""
        if method not in {"GET", "HEAD"}:
            return _told(405, b"Only GET and HEAD.", (b"allow", b"GET, HEAD"))
        found = self._find(path.removeprefix("/"))
        if found is None:
            return _told(404, b"There is nothing here.")
        own = [*_ALWAYS, *found.headers]
        if found.etag in _listed(headers, b"if-none-match"):
            return Answer(304, own)
        body = found.body
        if found.shrunk is not None and b"gzip" in _listed(headers, b"accept-encoding"):
            body = found.shrunk
            own.append((b"content-encoding", b"gzip"))
        return Answer(200, [*own, (b"content-length", b"%d" % len(body))], b"" if method == "HEAD" else body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        del receive
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        answer = self.answer(scope["method"], path, scope["headers"])
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _find(self, name: str) -> _File | None:
        """A file, or the page that every address of the dashboard's is; None for what can only be a mistake."""
        if name in self._files:
            return self._files[name]
        odd = "\\" in name or not name.isprintable() or {".", ".."} & set(name.split("/"))
        return None if odd or name.startswith(_HASHED) else self._files.get(_PAGE)


def _file(name: str, body: bytes) -> _File:
    suffix = PurePosixPath(name).suffix
    # Weak: the same for both encodings, which mean the same (RFC 9110 section 8.8.1).
    etag = b'W/"%b"' % hashlib.sha256(body).hexdigest()[:20].encode()
    headers = [
        (b"content-type", _TYPES.get(suffix, "application/octet-stream").encode()),
        (b"cache-control", _FOREVER if name.startswith(_HASHED) else _ASK),
        (b"etag", etag),
        (b"vary", b"accept-encoding"),
    ]
    shrunk = gzip.compress(body, mtime=0) if suffix in _SHRINKING else body
    return _File(headers, etag, body, shrunk if len(shrunk) < len(body) else None)


def _told(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Answer:
    kind = (b"content-type", b"text/plain; charset=utf-8")
    length = (b"content-length", b"%d" % len(body))
    return Answer(status, [*_ALWAYS, kind, (b"cache-control", b"no-store"), length, *headers], body)


def _listed(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> set[bytes]:
    """The members of a list in a header; those with a weight of 0 are left out."""
    items = (item.strip() for name, value in headers if name == wanted for item in value.split(b","))
    parted = (item.replace(b" ", b"").partition(b";") for item in items)
    return {name for name, _, weight in parted if weight not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}}
