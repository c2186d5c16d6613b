"""A request's head as bytes, refused where it could be read as anything but the one request that was meant."""

import re
from functools import lru_cache

from headgate.errors import BadRequest
from headgate.gateway.upstream import UpstreamRequest

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ /[!-~]* HTTP/1\.1")
_HOST = re.compile(rb"host: [!-~]+")
_NAMES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+\n)*")
_OURS = frozenset({b"connection", b"content-length", b"host", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
_ALWAYS_WITH_LENGTH = frozenset({b"POST", b"PUT", b"PATCH"})


def request_head(request: UpstreamRequest) -> bytes:
    """The request line and headers, with host first and content-length last (RFC 9110 8.6: 0 for a POST without body).

    Raises BadRequest if a part could end its line early or frame the message in a second way: a target with spaces or
    control bytes, a name that is no token or that is the connection's own, a CR, LF or NUL in a value; and for the
    method CONNECT, whose answer has no end.
    """
    lines = [request.method + b" " + request.target + b" HTTP/1.1", b"host: " + request.host]
    lines += [b": ".join(pair) for pair in request.headers]
    if request.body or request.method in _ALWAYS_WITH_LENGTH:
        lines.append(b"content-length: %d" % len(request.body))
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    # One count over the whole head is as strict as a look into each value, and several times as fast; it also makes
    # the line feed a safe separator of the names.
    ends = len(lines) + 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends or head.find(b"\0") >= 0:
        raise BadRequest("A header value, the path or the query contains a line break or a null byte.")
    if not _REQUEST_LINE.fullmatch(lines[0]) or request.method == b"CONNECT":
        raise BadRequest("The method, the path or the query cannot be part of an HTTP request.")
    if not _HOST.fullmatch(lines[1]):
        raise BadRequest("The host cannot be part of an HTTP request.")
    if not _may_go_on(b"".join([name + b"\n" for name, _ in request.headers])):
        raise BadRequest("A header's name cannot be part of the request sent on.")
    return head


@lru_cache(64)
def _may_go_on(names: bytes) -> bool:
    """Whether these are names of headers, a line each, and none is the connection's own. Most have the same."""
    return _NAMES.fullmatch(names) is not None and _OURS.isdisjoint(names.lower().split(b"\n"))
