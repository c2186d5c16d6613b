"""Short-lived credentials: what is sent to a token service, and what its answer means. Pure; the time is passed in.

Entra ID gives tokens for a client secret, Google for an assertion that a service account signs (RFC 6749 section 4.4,
RFC 7523). `net/tokens.py` sends the forms and keeps the tokens.
"""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from urllib.parse import urlencode

from headgate.providers.base import Secret, Signer

_LONGEST = 3600
"""Seconds. What is not told, or told to be more, is taken as an hour: every service here gives at least that."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client id and its secret, as Entra ID wants them."""

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str

    def form(self, now: int, sign: Signer) -> bytes:
        """RFC 6749 section 4.4.2."""
        del now, sign
        return urlencode({
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret.reveal(),
            "scope": self.scope,
        }).encode()  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account of Google Cloud, from its key file."""

    token_url: str
    email: str
    key_id: str
    private_key: Secret
    scope: str = "https://www.googleapis.com/auth/cloud-platform"

    @classmethod
    def from_json(cls, text: str) -> "ServiceAccount":
        """Read a key file. Raises ValueError, without any of its text."""
        try:
            told = json.loads(text)
            url, email, key_id, key = (told[k] for k in ("token_uri", "client_email", "private_key_id", "private_key"))
        except (ValueError, KeyError, TypeError):
            raise ValueError("expected the JSON of a service account's key") from None
        if not all(isinstance(value, str) for value in (url, email, key_id, key)):
            raise ValueError("expected the JSON of a service account's key")
        return cls(url, email, key_id, Secret(key))

    def form(self, now: int, sign: Signer) -> bytes:
        """RFC 7523 section 2.1: an assertion that holds for an hour."""
        head = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        claims = {"iss": self.email, "scope": self.scope, "aud": self.token_url, "iat": now, "exp": now + _LONGEST}
        text = _base64(json.dumps(head).encode()) + b"." + _base64(json.dumps(claims).encode())
        assertion = text + b"." + _base64(sign(text, self.private_key))
        kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return urlencode({"grant_type": kind, "assertion": assertion.decode()}).encode()


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and for how many seconds it is good."""

    value: Secret
    seconds: int


def read_token(body: bytes) -> Token:
    """The token in a token service's answer. Raises ValueError, without any of its text."""
    try:
        told = json.loads(body)
        value, seconds = told["access_token"], told.get("expires_in", _LONGEST)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("expected a token") from None
    if not isinstance(value, str) or not value or not isinstance(seconds, int) or seconds <= 0:
        raise ValueError("expected a token")
    return Token(Secret(value), min(seconds, _LONGEST))


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
