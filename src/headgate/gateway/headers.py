"""Which headers pass, each way: deny-lists, because clients and providers mean what they send.

A list of what may pass loses betas, session ids and rate-limit figures that someone needs (facts/stream_cases.md 5.15,
5.16); what must not pass is short and known.
"""

import re
from urllib.parse import unquote_to_bytes

from headgate.gateway.upstream import Headers
from headgate.providers.sigv4 import SIGNATURE_HEADERS

_HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip

CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")
"""Where clients put a key. What comes in here is for headgate, and goes on to a provider only where the operator says
so for that provider; so does a `key` in the query, which is another way to write x-goog-api-key."""

_VISIBLE = re.compile(rb"[!-~]+")

_NOT_UPSTREAM = _HOP_BY_HOP | frozenset(CREDENTIALS) | frozenset({
    b"accept-encoding",  # asked anew: the meter must be able to read the answer
    b"content-encoding", b"content-length", b"expect", b"host",  # of the client's transfer, not of ours
    b"cookie", b"origin", b"referer",  # of the page or session that talks to us
    b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip",
    b"ocp-apim-subscription-key",  # a credential that headgate has no use for
    b"x-provider",
}) | SIGNATURE_HEADERS  # fmt: skip

_NOT_TO_CLIENT = _HOP_BY_HOP | frozenset({b"alt-svc", b"set-cookie", b"strict-transport-security"})

EXCHANGE_ID = b"x-headgate-exchange-id"

_HANDSHAKE = b"sec-websocket-"
"""Headers of one hop's upgrade (RFC 6455 section 11.3)."""


def to_upstream(headers: Headers, credential: Headers, *, metered: bool) -> list[tuple[bytes, bytes]]:
    """The client's headers as they go on, with the deployment's credential.

    A metered answer is asked for uncompressed: the bytes pass as they come, and the meter reads them without detour.
    """
    passed = _without(headers, _NOT_UPSTREAM)
    if metered:
        passed.append((b"accept-encoding", b"identity"))
    else:
        passed += [pair for pair in headers if pair[0] == b"accept-encoding"]
    passed += credential
    return passed


def to_upgrade(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers of a client's upgrade as they go on, without those of its own hop."""
    return [pair for pair in _without(headers, _NOT_UPSTREAM) if not pair[0].startswith(_HANDSHAKE)]


def credentials_of(headers: Headers, query: bytes) -> list[tuple[bytes, bytes]]:
    """What a client brought to identify itself, as headers, a `key` in the query among them."""
    found = [pair for pair in headers if pair[0] in CREDENTIALS]
    if not query:
        return found
    keys = (unquote_to_bytes(part.partition(b"=")[2]) for part in query.split(b"&") if _is_key(part))
    return found + [(b"x-goog-api-key", key) for key in keys if _VISIBLE.fullmatch(key)]


def bare(credential: bytes) -> bytes:
    """A credential header's value without its scheme, which may be written in any case (RFC 9110, 11.1)."""
    scheme, _, rest = credential.strip().partition(b" ")
    return rest.strip() if scheme.lower() == b"bearer" else credential.strip()


def without_key(query: bytes) -> bytes:
    """The query without a `key`, every other byte as it was."""
    return b"&".join(part for part in query.split(b"&") if not _is_key(part)) if query else query


def _is_key(part: bytes) -> bool:
    return unquote_to_bytes(part.partition(b"=")[0]) == b"key"


def to_client(headers: Headers, exchange_id: str, *, resized: bool, stream: bool) -> list[tuple[bytes, bytes]]:
    """The provider's headers as they go back. `resized`: the body may lose a frame, so its length is not told."""
    passed = [pair for pair in _without(headers, _NOT_TO_CLIENT) if not pair[0].startswith(_HANDSHAKE)]
    if resized:
        passed = [pair for pair in passed if pair[0] != b"content-length"]
    if stream:
        names = {name for name, _ in passed}
        passed += [pair for pair in _UNBUFFERED if pair[0] not in names]
    passed.append((EXCHANGE_ID, exchange_id.encode()))
    return passed


_UNBUFFERED = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""Tell proxies between us and the client not to hold a stream back (facts/stream_cases.md 8.20)."""


def _without(headers: Headers, denied: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    connection = [value for name, value in headers if name == b"connection"]
    if connection:  # RFC 9110 7.6.1: it names further headers of this hop only
        denied = denied.union(token.strip().lower() for value in connection for token in value.split(b","))
    return [pair for pair in headers if pair[0] not in denied]


def value_of(headers: Headers, name: bytes) -> str:
    """The first value of a header, by lower-case name, as text; "" if there is none."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""
