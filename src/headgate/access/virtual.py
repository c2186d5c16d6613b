"""Virtual keys: handed out by headgate, with an account behind each. Pure; time and chance are passed in.

A key is shown once, when it is made. What is kept is a digest keyed with a secret that is not in the database, so a
copy of the database opens nothing, and looking a key up by its digest leaks no timing of the key itself.
"""

import hmac
from base64 import urlsafe_b64encode
from fnmatch import fnmatchcase
from typing import Protocol

from msgspec import Struct

from headgate.access.budgets import Budget, Scope
from headgate.access.limits import Limits
from headgate.errors import Forbidden, Unauthorized

PREFIX = "hg-"
"""What a virtual key begins with, so that leaked ones can be found in a text."""
RANDOM_BYTES = 24
_SHOWN = 8


class VirtualKey(Struct, frozen=True):
    """A key as it is kept. Times in nanoseconds since the epoch."""

    key_id: str
    name: str
    account_id: str
    digest: bytes
    hint: str
    """The beginning of the key, to tell it from others."""
    created_at_ns: int
    owner: str = ""
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Patterns of model names, as clients ask for them, that it may use: `*` is any text. None at all: every model."""
    providers: tuple[str, ...] = ()
    """Names of the deployments that it may use. None at all: every one."""
    expires_at_ns: int | None = None
    revoked_at_ns: int | None = None
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()
    """All that bound it: its own, its account's and its tags'."""

    def check(self, now_ns: int) -> None:
        """Raises Unauthorized if the key is no longer good."""
        if self.revoked_at_ns is not None:
            raise Unauthorized(f"The key '{self.name}' ({self.hint}...) has been revoked.")
        if self.expires_at_ns is not None and now_ns >= self.expires_at_ns:
            raise Unauthorized(f"The key '{self.name}' ({self.hint}...) has expired.")

    def check_model(self, *names: str | None) -> None:
        """Raises Forbidden if the key may use a model under none of these names; None is no name."""
        if not self.models:
            return
        given = [name for name in names if name is not None]
        if not any(fnmatchcase(name.lower(), pattern.lower()) for name in given for pattern in self.models):
            named = f"the model '{given[0][:100]}'" if given else "a request that names no model"
            raise Forbidden(f"The key '{self.name}' may not use {named}; it may use {', '.join(self.models)}.")

    def check_provider(self, deployment: str) -> None:
        """Raises Forbidden if the key may not use a deployment."""
        if self.providers and deployment not in self.providers:
            allowed = ", ".join(self.providers)
            raise Forbidden(f"The key '{self.name}' may not use the provider '{deployment}'; it may use {allowed}.")

    def bound_by(self, budget: Budget) -> bool:
        """Whether a budget is one of this key's."""
        match budget.scope:
            case Scope.KEY:
                return budget.subject == self.key_id
            case Scope.ACCOUNT:
                return budget.subject == self.account_id
            case Scope.TAG:
                return budget.subject in self.tags


class VirtualKeys(Protocol):
    """Finds virtual keys, as they stand at this moment: a revocation counts at once, in every process."""

    async def by_digest(self, digest: bytes) -> VirtualKey | None:
        """The key of a digest, revoked and expired ones too."""


def key_text(random: bytes) -> str:
    """A new key, of RANDOM_BYTES random bytes: what its holder sends."""
    return PREFIX + urlsafe_b64encode(random).decode().rstrip("=")


def hint_of(text: str) -> str:
    """What of a key may be shown again."""
    return text[: len(PREFIX) + _SHOWN]


def digest_of(text: bytes, secret: bytes) -> bytes:
    """What is kept of a key: HMAC-SHA256 under the gateway's secret; 32 bytes."""
    return hmac.digest(secret, text, "sha256")
