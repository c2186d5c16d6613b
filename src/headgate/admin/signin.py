"""The door of the admin API: an admin key as a bearer token, or the pass of who has signed in, before anything else."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.admin import cookies
from headgate.admin.passes import Passes
from headgate.errors import Forbidden, HeadgateError, NotFound, RateLimited, Unauthorized

_log = logging.getLogger("headgate.admin")

SHORTEST_KEY = 16
"""Characters, as with the gateway's own keys."""
VISIT = "headgate.visit"
"""Where the scope of whoever was let in has his Visit."""
_PAUSE_SECONDS = 1.0
_MOST_WAITING = 100
"""Wrong keys that sit through their pause at one time: what waits is memory, and guesses cost their sender nothing."""

Refuse = Callable[[HeadgateError], ASGIApp]
"""An answer that tells an error."""


async def pause() -> None:
    """What a wrong key costs whoever tries it."""
    await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who is at the door, and how he came."""

    name: str
    """Of his admin key; empty for who has yet to show one."""
    expires_at_ns: int | None
    """The end of his pass; None for a bearer key."""
    client: str
    """The address that he comes from."""
    root: str
    """The path that the API is mounted at, for the pass's cookie."""
    secure: bool
    """His browser speaks https."""


class AdminKeys:
    """The admin keys, and what a wrong one costs. Raises ValueError if a key is too short."""

    def __init__(
        self,
        keys: Mapping[str, str],
        wait: Callable[[], Awaitable[None]] = pause,
        note_refusal: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`keys` by their names; `wait` is what a wrong one has to sit through.

        `note_refusal` is told where a wrong one came from.
        """
        if any(len(key) < SHORTEST_KEY for key in keys.values()):
            raise ValueError(f"an admin key has at least {SHORTEST_KEY} characters")
        self._digests = {name: _digest(key.encode()) for name, key in keys.items()}
        self._wait = wait
        self._note_refusal = note_refusal
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._digests)

    async def holder(self, key: bytes, client: str) -> str:
        """The name of a key. Raises Unauthorized, late, if there is none like it.

        All keys are compared, by digest and in constant time, so an answer's time tells nothing about them. The pause
        keeps guessing and the log slow; who has a key never waits for those who guess. Raises RateLimited at once while
        too many sit through their pauses already.
        """
        known = self.find(key)
        if known is None:
            await self._refuse(client)
            raise Unauthorized("This is not an admin key.")
        return known

    def find(self, key: bytes) -> str | None:
        """The name of a key, in constant time; None if there is none like it, which costs nothing here."""
        presented, known = _digest(key), None
        for name, digest in self._digests.items():
            if hmac.compare_digest(presented, digest):
                known = name
        return known

    async def _refuse(self, client: str) -> None:
        if self._waiting >= _MOST_WAITING:
            raise RateLimited("Too many wrong admin keys are being tried.", retry_after=1)
        _log.warning("a sign-in to the admin API was refused, from %s", client)
        self._note_refusal(client)
        self._waiting += 1
        try:
            await self._wait()
        finally:
            self._waiting -= 1


class Door:
    """Lets a request through to `inside` if it brings an admin key or a pass. Without any keys there is nothing here.

    A key counts before a pass; what is no key of ours does not put out a pass that is good, for proxies have browsers
    send them credentials of their own. Who brings nothing, or a pass that has ended, is told so at once: a key can be
    guessed, a pass cannot.
    """

    def __init__(
        self,
        inside: ASGIApp,
        keys: AdminKeys,
        passes: Passes,
        refuse: Refuse,
        ways_in: Collection[tuple[str, str]] = (),
    ) -> None:
        """`ways_in` are the methods and paths that need no key: where one is shown."""
        self._inside = inside
        self._keys = keys
        self._passes = passes
        self._refuse = refuse
        self._ways_in = ways_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "http":
            try:
                scope = {**scope, VISIT: await self._visit(scope)}
            except HeadgateError as error:
                await self._refuse(error)(scope, receive, send)
                return
        await self._inside(scope, receive, send)

    async def _visit(self, scope: Scope) -> Visit:
        """Who comes. Raises NotFound, Unauthorized, RateLimited or Forbidden."""
        if not self._keys:
            raise NotFound("The admin API is off: no admin key is configured.")
        method, headers, root = scope["method"], scope["headers"], scope.get("root_path", "")
        client = scope["client"][0] if scope.get("client") else "somewhere"
        name, expires_at_ns = "", None
        token = _token(headers)
        if (method, scope["path"].removeprefix(root)) in self._ways_in:
            if cookies.is_own_page(method, headers) is False:
                raise _another_page()
        elif token is not None and (known := self._keys.find(token)) is not None:
            name = known
        elif (found := self._passes.read(cookies.pass_in(headers))) is not None:
            if not cookies.may_act(method, headers):
                raise _another_page()
            name, expires_at_ns = found.name, found.expires_at_ns
        elif token is not None:
            name = await self._keys.holder(token, client)
        else:
            raise Unauthorized("The admin API needs an admin key, as a bearer token, or a sign-in at /session.")
        return Visit(name, expires_at_ns, client, root, cookies.is_secure(scope.get("scheme", "http"), headers))


def _another_page() -> Forbidden:
    return Forbidden("Only this gateway's own pages may do that with a sign-in; programs bring an admin key.")


def _token(headers: cookies.Headers) -> bytes | None:
    """The bearer token; None if none is shown, empty, which is no key, if there is more than one credential."""
    given = [value.partition(b" ") for name, value in headers if name == b"authorization"]
    tokens = [token.strip() for scheme, _, token in given if scheme.lower() == b"bearer"]
    if not tokens:
        return None
    return tokens[0] if len(given) == 1 else b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
