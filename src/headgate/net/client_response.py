"""One HTTP/1.1 response as it is read: bytes in; the head, then chunks of the body out. No I/O.

The grammar is llhttp's in its strict mode (by httptools), which already refuses obs-fold, bare LF, NUL, a
content-length that comes twice or next to chunked, and every odd chunk size. Added here: what llhttp cannot know (HEAD,
bounds), what a client need not accept (transfer codings nobody asked for, statuses outside 100-599), and when a
connection may carry another request.
"""

import re
from collections import deque
from math import inf

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from headgate.errors import UpstreamCut
from headgate.gateway.upstream import Head

MAX_HEAD_BYTES = 256 * 1024
"""Bound on bytes in a row that carry no body: the head with any 1xx before it, a chunk's extensions, the trailers."""

_TIMEOUT_HINT = re.compile(rb"(?:^|[\s,;])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_VERSIONS = frozenset({"1.0", "1.1"})
_STATUSES_WITHOUT_BODY = frozenset({204, 304})


class Response:
    """Fed what a connection receives after one request was sent on it.

    `head` is set once it is whole, `complete` at the message's end. `chunks` are the body's bytes that nobody has taken
    yet, one for each `feed` that brought any, and `buffered` is their size in bytes.
    """

    __slots__ = (
        "_bodyless",
        "_headers",
        "_parser",
        "_parts",
        "_until_close",
        "_without_body",
        "buffered",
        "chunks",
        "complete",
        "head",
        "keep_alive",
        "started",
    )

    def __init__(self, *, bodyless: bool = False) -> None:
        """`bodyless` is for the answer to HEAD, whose framing headers describe a body that is not there."""
        self.head: Head | None = None
        self.chunks: deque[bytes] = deque()
        self.buffered = 0
        self.started = False
        """True once any byte has come."""
        self.complete = False
        self.keep_alive = 0.0
        """Once complete: how many seconds the connection may wait for another request. 0 is never, inf "not told"."""
        self._bodyless = bodyless
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._without_body = 0
        self._until_close = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read on. Raises UpstreamCut where the bytes are not HTTP; chunks read before that are still there."""
        parser, parts = self._parser, self._parts
        if parser is None:
            return
        self.started = True
        fault: Exception | None = None
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:  # the latter for 101: nobody asked for an upgrade
            fault = error
        if parts:
            chunk = parts.pop() if len(parts) == 1 else b"".join(parts)
            parts.clear()
            self._without_body = 0
            self.chunks.append(chunk)
            self.buffered += len(chunk)
        else:
            self._without_body += len(data)
        if self.complete:
            self._parser = None  # it refers back to this object: without the cycle both go at once
        elif fault:
            raise UpstreamCut("The provider's answer is not valid HTTP.") from fault
        elif self._without_body > MAX_HEAD_BYTES:
            raise UpstreamCut(f"The provider's answer has a head of over {MAX_HEAD_BYTES // 1024} KiB.")

    def end(self) -> None:
        """The connection was closed in good order: that is the end of a body which is delimited by nothing else."""
        if self.head is not None and self._until_close:
            self.complete = True
        self._parser = None

    def take(self) -> bytes:
        """The oldest of `chunks`, which must not be empty."""
        chunk = self.chunks.popleft()
        self.buffered -= len(chunk)
        return chunk

    def on_message_begin(self) -> None:
        """For httptools: a message begins. After the end it is one that nobody asked for."""
        if self.complete:
            self.keep_alive = 0.0

    def on_header(self, name: bytes, value: bytes) -> None:
        """For httptools: a header, or after the body a trailer, which is passed over."""
        if self.head is None:
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """For httptools: the head is whole."""
        if self._parser is None or self.complete:
            return
        status = self._parser.get_status_code()
        if not 100 <= status <= 599:
            raise HttpParserError("a status that there is not")
        headers, self._headers = self._headers, []
        if status < 200:
            return
        if self._parser.get_http_version() not in _VERSIONS:
            raise HttpParserError("a version whose framing is another")
        names = dict(headers)
        if b"transfer-encoding" in names and [v.lower() for n, v in headers if n == b"transfer-encoding"] != [
            b"chunked"
        ]:
            raise HttpParserError("a transfer coding other than chunked")
        delimited = b"transfer-encoding" in names or b"content-length" in names or status in _STATUSES_WITHOUT_BODY
        self._until_close = not delimited
        self.head = Head(status, headers)
        # The parser cannot be told of HEAD and now waits for a body. So the connection is not used again; HEAD is rare.
        self.complete = self._bodyless

    def on_body(self, data: bytes) -> None:
        """For httptools: a piece of the body."""
        if self.head is None:
            raise HttpParserError("an interim answer with a body")
        if not self.complete:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        """For httptools: the message's end."""
        if self._parser is None or self.head is None or self.complete:
            return
        self.complete = True
        if self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1":
            self.keep_alive = _keep_alive_hint(self.head)


def _keep_alive_hint(head: Head) -> float:
    """Seconds of `Keep-Alive: timeout=N`; inf where there is none."""
    for name, value in head.headers:
        if name == b"keep-alive" and (match := _TIMEOUT_HINT.search(value)):
            return float(match.group(1))
    return inf
