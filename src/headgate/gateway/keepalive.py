"""Keep-alives: what a client is sent while its provider is silent, so that nothing on the way takes the line for dead.

They are the dialect's own (`Dialect.keep_alive`), stand between two frames only, and are nothing to the meter.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from headgate.gateway.request import Client, ClientGone
from headgate.gateway.upstream import Call, Sink


class KeepAlive(Struct, frozen=True):
    """What to send, and after how long a silence."""

    form: bytes
    seconds: float

    async def read(self, call: Call, client: Client, rests: Callable[[], bool], sink: Sink) -> bytes:
        """`Call.read`, with keep-alives to the client in the silences. Raises what that does.

        `rests` says that the client has whole frames. The read is one and the same throughout: a call's own clock of
        the silence must not begin anew with each sign.
        """
        now = asyncio.get_running_loop().time
        heard = now()

        def hear(chunk: bytes) -> bool:
            nonlocal heard
            heard = now()
            return sink(chunk)

        reading = asyncio.ensure_future(call.read(hear))
        try:
            while not (await asyncio.wait({reading}, timeout=heard + self.seconds - now()))[0]:
                if now() < heard + self.seconds:  # chunks have come meanwhile
                    continue
                heard = now()
                if client.started and not client.gone and rests():
                    with suppress(ClientGone):  # the relay's own next write finds out
                        await client.write(self.form)
            return reading.result()
        finally:
            reading.cancel()
