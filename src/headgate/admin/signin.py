"""The door of the admin API: a bearer token that is one of the admin keys, before anything else is looked at."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.errors import HeadgateError, NotFound, Unauthorized

_log = logging.getLogger("headgate.admin")

SHORTEST_KEY = 16
"""Characters, as with the gateway's own keys."""
ACTOR = "headgate.actor"
"""In the scope of whoever was let in: the name of his key."""
_PAUSE_SECONDS = 1.0

Refuse = Callable[[HeadgateError], ASGIApp]
"""An answer that tells an error."""


async def pause() -> None:
    """What a wrong key costs whoever tries it."""
    await asyncio.sleep(_PAUSE_SECONDS)


class Door:
    """Lets a request through to `inside` if it brings an admin key. Where none is configured, there is nothing here.

    All keys are compared, by digest and in constant time, so an answer's time tells nothing about them. A refusal comes
    late, which keeps guessing and the log slow; who has a key never waits for those who guess.

    Raises ValueError if a key is too short.
    """

    def __init__(
        self, inside: ASGIApp, keys: Mapping[str, str], refuse: Refuse, wait: Callable[[], Awaitable[None]] = pause
    ) -> None:
        """`keys` by their names."""
        if any(len(key) < SHORTEST_KEY for key in keys.values()):
            raise ValueError(f"an admin key has at least {SHORTEST_KEY} characters")
        self._inside = inside
        self._digests = {name: _digest(key.encode()) for name, key in keys.items()}
        self._refuse = refuse
        self._wait = wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
        elif not self._digests:
            await self._refuse(NotFound("The admin API is off: no admin key is configured."))(scope, receive, send)
        elif (name := self._holder(_token(scope))) is not None:
            await self._inside({**scope, ACTOR: name}, receive, send)
        else:
            client = scope.get("client")
            _log.warning("a sign-in to the admin API was refused, from %s", client[0] if client else "somewhere")
            await self._wait()
            error = Unauthorized("The admin API needs an admin key, as a bearer token.")
            await self._refuse(error)(scope, receive, send)

    def _holder(self, token: bytes) -> str | None:
        """The name of the key that this is."""
        presented, known = _digest(token), None
        for name, digest in self._digests.items():
            if hmac.compare_digest(presented, digest):
                known = name
        return known


def _token(scope: Scope) -> bytes:
    """The bearer token; empty, which is no key, if there is none or more than one."""
    given: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        return b""
    scheme, _, token = given[0].partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
