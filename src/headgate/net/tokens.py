"""Gets and keeps the short-lived tokens that some deployments are called with.

A token is asked for once however many exchanges wait for it, and again some minutes before it ends. A token service
that fails costs the exchanges that need the token a clear error, and nobody else anything.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from urllib.parse import urlsplit

from headgate.errors import HeadgateError, UpstreamUnreachable
from headgate.gateway.upstream import Call, CallAborted, Upstream, UpstreamRequest
from headgate.net.aws_chain import Chain
from headgate.net.rs256 import sign
from headgate.providers.base import ACCESS_TOKEN, Deployment, Grant, Origin, TimeLimits
from headgate.providers.grants import Token, read_token

_EARLY = 300
"""Seconds before its end from which on a token is not used for new exchanges; at most half its life."""
_CHAIN_SECONDS = 60
"""For so long the credential chain is not asked again; it refreshes what it gives minutes before that ends."""
_LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Held:
    deployment: Deployment
    """With its token."""
    until: float


class Tokens:
    """The tokens of one process. `now` is the wall clock in seconds since the Unix epoch."""

    def __init__(self, upstream: Upstream, now: Callable[[], float]) -> None:
        self._upstream = upstream
        self._now = now
        self._chain = Chain()
        self._held: dict[str, _Held] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def freshen(self, deployment: Deployment) -> Deployment:
        """The deployment with a token that is good now; itself if it needs none. Raises UpstreamUnreachable."""
        if not deployment.short_lived:
            return deployment
        async with self._asking.setdefault(deployment.name, asyncio.Lock()):
            held = self._held.get(deployment.name)
            if held is None or self._now() >= held.until:
                held = await self._fetch(deployment)
                self._held[deployment.name] = held
        return held.deployment

    async def _fetch(self, deployment: Deployment) -> _Held:
        if deployment.profile is not None:
            try:
                secrets = await self._chain.secrets(deployment.profile)
            except ValueError as error:
                raise UpstreamUnreachable(f"No credentials for {deployment.name} could be had.") from error
            return _Held(replace(deployment, secrets=secrets), self._now() + _CHAIN_SECONDS)
        if deployment.grant is None:
            return _Held(deployment, inf)
        token = await self._ask(deployment.name, deployment.grant)
        fresh = replace(deployment, credential=None, secrets={ACCESS_TOKEN: token.value})
        return _Held(fresh, self._now() + token.seconds - min(_EARLY, token.seconds // 2))

    async def _ask(self, name: str, grant: Grant) -> Token:
        refused = UpstreamUnreachable(f"No access token for {name} could be had.")
        try:
            call = self._upstream.open(_request(grant.token_url, grant.form(int(self._now()), sign)))
        except (ValueError, HeadgateError) as error:
            raise refused from error
        try:
            return await _token(call)
        except (ValueError, HeadgateError, CallAborted) as error:
            raise refused from error
        finally:
            call.abort()


async def _token(call: Call) -> Token:
    """The answer's token. Raises ValueError where there is none."""
    head = await call.head()
    body = b""
    while (piece := await call.read()) and len(body) <= _LARGEST_ANSWER:
        body += piece
    if head.status != 200:
        raise ValueError(f"the token service answered {head.status}")
    return read_token(body)


def _request(url: str, form: bytes) -> UpstreamRequest:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    return UpstreamRequest(
        method=b"POST",
        origin=Origin(tls=tls, host=parts.hostname or "", port=parts.port or (443 if tls else 80)),
        host=parts.netloc.encode("ascii"),
        target=(parts.path or "/").encode("ascii"),
        headers=[(b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json")],
        body=form,
        limits=TimeLimits(connect=10, first_byte=20, idle=20),
    )
