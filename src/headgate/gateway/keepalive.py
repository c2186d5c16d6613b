"""Keep-alives: what a client is sent while its provider is silent, so that nothing on the way takes the line for dead.

They are the dialect's own (`Dialect.keep_alive`), stand between two frames only, and are nothing to the meter.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from headgate.gateway.request import Client, ClientGone
from headgate.gateway.upstream import Call


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """What to send, and after how long a silence."""

    form: bytes
    seconds: float

    async def read(self, call: Call, client: Client, rests: Callable[[], bool]) -> bytes:
        """The call's next chunk, with keep-alives to the client until it comes. Raises what `Call.read` does.

        `rests` says that the client has whole frames. The read is one and the same throughout: a call's own clock of
        the silence must not begin anew with each sign.
        """
        reading = asyncio.ensure_future(call.read())
        try:
            while not (await asyncio.wait({reading}, timeout=self.seconds))[0]:
                if client.started and not client.gone and rests():
                    with suppress(ClientGone):  # the relay's own next write finds out
                        await client.write(self.form)
            return reading.result()
        finally:
            reading.cancel()
