"""AWS Signature Version 4, for services that encode the path twice: all but S3 (facts/wire.md section 6).

The oracle of the tests is botocore 1.44; the steps are those of AWS' "Create a signed AWS API request".
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from headgate.providers.base import Secret

_ALGORITHM = "AWS4-HMAC-SHA256"

SIGNATURE_HEADERS = frozenset({b"authorization", b"x-amz-content-sha256", b"x-amz-date", b"x-amz-security-token"})
"""The headers of a signature. A client's own are of no use to another host: they are not signed, and must not be sent
beside those that `sign` gives."""

_UNSIGNED = SIGNATURE_HEADERS | frozenset({
    b"baggage", b"connection", b"expect", b"host", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te",
    b"traceparent", b"tracestate", b"trailer", b"transfer-encoding", b"upgrade", b"user-agent", b"x-amzn-trace-id",
})  # fmt: skip
"""What proxies on the way may change (botocore leaves the same out), and the host, which is given by itself."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs. Temporary credentials have a session token as well."""

    access_key: str
    secret: Secret
    session_token: Secret | None = None


def sign(
    method: bytes,
    host: bytes,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    *,
    region: str,
    service: str,
    credentials: Credentials,
    now: int,
) -> list[tuple[bytes, bytes]]:
    """The headers that sign a request: to be added to it, which must go out as it was given here.

    `host` is the Host header's value, `target` the path and query as they stand in the request line: a model id that is
    encoded there is encoded once more in what is signed. `headers` have names in lower case. `service` is "bedrock" for
    the hosts bedrock-runtime.*. `now` is the wall clock in whole seconds since 1970; AWS allows it five minutes' error.
    """
    moment = _basic_iso8601(now)
    added = [(b"x-amz-date", moment.encode())]
    if credentials.session_token is not None:
        added.append((b"x-amz-security-token", credentials.session_token.reveal().encode()))
    passed = [pair for pair in headers if pair[0] not in _UNSIGNED]
    signed = _canonical_headers([(b"host", host), *passed, *added])
    names = b";".join(signed)
    request = b"\n".join((
        method.upper(),
        *_canonical_target(target),
        *(name + b":" + value for name, value in signed.items()),
        b"",
        names,
        sha256(body).hexdigest().encode(),
    ))  # fmt: skip
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{sha256(request).hexdigest()}"
    signature = _hmac(_key(credentials.secret, scope), text).hex()
    authorization = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names.decode()}, Signature={signature}"
    )
    return [*added, (b"authorization", authorization.encode())]


def _canonical_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query as they are signed. The query's names and values are taken to be encoded as they should be."""
    path, _, query = target.partition(b"?")
    pairs = sorted(pair.partition(b"=")[::2] for pair in query.split(b"&")) if query else []
    return quote(_normal_path(path), safe="/~").encode(), b"&".join(name + b"=" + value for name, value in pairs)


def _normal_path(path: bytes) -> bytes:
    """The path without dot segments (RFC 3986 section 5.2.4) and without empty ones."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    end = b"/" if kept and path.endswith(b"/") else b""
    return b"/" + b"/".join(kept) + end


def _canonical_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """By name in order: the values of one name joined, each with its runs of white space made single spaces."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(b" ".join(value.split()))
    return {name: b",".join(values[name]) for name in sorted(values)}


def _key(secret: Secret, scope: str) -> bytes:
    key = b"AWS4" + secret.reveal().encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), sha256)


def _basic_iso8601(now: int) -> str:
    """E.g. "20261120T140709Z". Done by hand because a clock's modules stay out of the pure layers."""
    days, second = divmod(now, 86_400)
    year, month, day = _civil(days)
    return f"{year:04}{month:02}{day:02}T{second // 3600:02}{second // 60 % 60:02}{second % 60:02}Z"


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day, so many days after 1 January 1970.

    Years are counted from March here, so that a leap day is the last of its year, and months repeat 31, 30, 31, 30, 31
    days: 153 in five.
    """
    days += 719_468  # from 1 March of the year 0
    year = days * 400 // 146_097 + 1  # 146097 days are 400 years; this is the right year, or one of the next
    while _first_day(year) > days:
        year -= 1
    day_of_year = days - _first_day(year)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    return (year, month + 3, day) if month < 10 else (year + 1, month - 9, day)


def _first_day(year: int) -> int:
    """Days from 1 March of the year 0 to that of another."""
    return 365 * year + year // 4 - year // 100 + year // 400
