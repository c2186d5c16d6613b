"""One tree of errors. Each knows whose fault it is, its HTTP status, and whether the client may simply try again.

A dialect turns an error into its own wire shape (`Dialect.error_body`); nothing else formats one. The message is
written for the client's developer: it may name what they sent, never an upstream's address or a credential.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar


class Source(StrEnum):
    """Whose side the failure is on; the HTTP status follows from it."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"


class HeadgateError(Exception):
    """The root. `code` is a stable machine-readable word, `status` the HTTP status that tells it.

    `retry_safe` says that nothing was sent upstream or that sending again costs nothing.
    """

    source: ClassVar[Source] = Source.GATEWAY
    status: int = 500
    code: ClassVar[str] = "gateway_error"
    retry_safe: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """What the answer says in its headers as well."""
        return ()


class BadRequest(HeadgateError):
    """The request cannot be understood."""

    source, status, code = Source.CLIENT, 400, "invalid_request"


class Unauthorized(HeadgateError):
    """No valid gateway key."""

    source, status, code = Source.CLIENT, 401, "invalid_api_key"

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Claude Code tries eight times on a 401 that does not say so (docs/clients.md)."""
        return ((b"x-should-retry", b"false"),)


class Forbidden(HeadgateError):
    """The key is good, but not for this."""

    source, status, code = Source.CLIENT, 403, "not_allowed"


class Unpriced(HeadgateError):
    """What it would cost is not known, and the account has to pay beforehand."""

    source, status, code = Source.CLIENT, 403, "not_priced"


class PaymentRequired(HeadgateError):
    """The account's credit, or a budget, does not cover what the request may cost."""

    source, status, code = Source.CLIENT, 402, "insufficient_credit"

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """SDKs try again on some 4xx by themselves; asking again does not fill an account."""
        return ((b"x-should-retry", b"false"),)


class RateLimited(HeadgateError):
    """A limit of the key's is reached."""

    source, status, code, retry_safe = Source.CLIENT, 429, "rate_limited", True

    def __init__(
        self, message: str, *, retry_after: int | None = None, standing: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """`retry_after` is in seconds; None where nobody can know, as with concurrent requests.

        `standing` are the headers that tell where the limit stands.
        """
        super().__init__(message)
        self.retry_after = retry_after
        self._standing = standing

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """When to come again."""
        wait = () if self.retry_after is None else ((b"retry-after", str(self.retry_after).encode()),)
        return (*self._standing, *wait)


class NotFound(HeadgateError):
    """No such path or provider."""

    source, status, code = Source.CLIENT, 404, "not_found"


class UnknownModel(HeadgateError):
    """No configured provider serves the model; the message names the nearest ones that are served."""

    source, status, code = Source.CLIENT, 404, "model_not_found"


class MethodNotAllowed(HeadgateError):
    """The path exists, the method does not."""

    source, status, code = Source.CLIENT, 405, "method_not_allowed"


class TooLarge(HeadgateError):
    """The body, as received or as decompressed, is over the limit."""

    source, status, code = Source.CLIENT, 413, "request_too_large"


class RequestTimeout(HeadgateError):
    """The client did not send its request in time."""

    source, status, code, retry_safe = Source.CLIENT, 408, "request_timeout", True


class HeadersTooLarge(HeadgateError):
    """The request's head is over the limit."""

    source, status, code = Source.CLIENT, 431, "headers_too_large"


class UnsupportedEncoding(HeadgateError):
    """A content-encoding that headgate cannot undo."""

    source, status, code = Source.CLIENT, 415, "unsupported_encoding"


class Busy(HeadgateError):
    """The gateway takes no new request now: it is stopping, or its records cannot be written."""

    source, status, code, retry_safe = Source.GATEWAY, 503, "gateway_unavailable", True


class UpstreamUnreachable(HeadgateError):
    """No connection to the provider could be made; nothing was sent."""

    source, status, code, retry_safe = Source.UPSTREAM, 502, "upstream_unreachable", True


class UpstreamTimeout(HeadgateError):
    """The provider did not answer, or fell silent, within the time limit."""

    source, status, code = Source.UPSTREAM, 504, "upstream_timeout"


class UpstreamCut(HeadgateError):
    """The provider's connection broke, or its bytes were not HTTP, after the request had been sent."""

    source, status, code = Source.UPSTREAM, 502, "upstream_connection_lost"


class UpstreamRefused(HeadgateError):
    """The provider refused a WebSocket that was to carry what a client had asked; nothing else was sent."""

    source, status, code, retry_safe = Source.UPSTREAM, 502, "upstream_refused", True

    def __init__(self, message: str, *, answered: int = 502) -> None:
        """`answered` is the status that it refused with, and that the client is told."""
        super().__init__(message)
        self.status = answered


class UpgradeRefused(HeadgateError):
    """There is no WebSocket here. 426 sends Codex on over HTTP at once (facts/wire.md section 3)."""

    source, status, code = Source.CLIENT, 426, "upgrade_refused"


class ConfigError(HeadgateError):
    """A setting is wrong; the message names the file, the key's path and what was expected."""

    code = "config_error"
