"""What a browser brings along and is told to keep: the pass's cookie, and which page a request comes from.

Cookies travel by themselves, so whoever relies on one has to know that the request is a page's of our own: browsers
tell it in Sec-Fetch-Site (W3C Fetch Metadata) and in Origin (RFC 6454), which no page's script can set.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

NAME = "headgate_session"

Headers = Sequence[tuple[bytes, bytes]]
_SAFE = frozenset({"GET", "HEAD"})


def pass_in(headers: Headers) -> str:
    """The text of the pass in the cookies; empty, which is none, if there is none or more than one.

    A second one can only have been planted beside ours, by a neighbouring host or an outer path.
    """
    found = []
    for line in _values(headers, b"cookie"):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == NAME:
                found.append(value)
    return found[0] if len(found) == 1 else ""


def keep(text: str, path: str, seconds: int, *, secure: bool) -> str:
    """A Set-Cookie line that has the browser keep a pass: out of reach of scripts, and for our own pages alone."""
    return f"{NAME}={text}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")


def forget(path: str, *, secure: bool) -> str:
    """A Set-Cookie line that has the browser forget its pass."""
    return keep("", path, 0, secure=secure)


def is_secure(scheme: str, headers: Headers) -> bool:
    """Whether the browser speaks https with us, or with a proxy in front of us.

    Everyone is believed here: a header that is made up only ties its own sender's cookie to https.
    """
    forwarded = ",".join(_values(headers, b"x-forwarded-proto")).partition(",")[0].strip().lower()
    origins = [value.lower() for value in _values(headers, b"origin")]
    return scheme == "https" or forwarded == "https" or any(origin.startswith("https://") for origin in origins)


def is_own_page(method: str, headers: Headers) -> bool | None:
    """Whether one of our own pages asks; None where nothing tells, as with programs and with plain navigation."""
    site = _only(headers, b"sec-fetch-site")
    if site is not None:
        return None if site == "none" and method in _SAFE else site == "same-origin"
    origin = _only(headers, b"origin")
    if origin is None:
        return None
    host = _only(headers, b"host") or ""
    return bool(host) and _host_of(origin) == host.lower()


def may_act(method: str, headers: Headers) -> bool:
    """Whether a cookie counts for this request: to change something it takes a page known to be ours."""
    own = is_own_page(method, headers)
    return own is True or (own is None and method in _SAFE)


def _values(headers: Headers, wanted: bytes) -> Iterator[str]:
    return (value.decode("latin-1") for name, value in headers if name == wanted)


def _only(headers: Headers, wanted: bytes) -> str | None:
    """A header's value; one that is there twice is a value that equals nothing."""
    values = list(_values(headers, wanted))
    return ", ".join(values) if values else None


def _host_of(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in {"http", "https"} else ""
