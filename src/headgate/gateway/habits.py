"""What deployments turned out not to take, and how that is noticed.

Some servers answer 400 to a request that holds `stream_options`, which headgate adds so that a stream carries its
usage (facts/stream_cases.md 1.19). Such an answer is looked into before any of it goes to the client, so that the
request can be sent once more without the option; an answer that says anything else passes on byte for byte.
"""

from headgate.errors import HeadgateError
from headgate.gateway.upstream import Call, CallAborted, Head, Sink

_OPTION = b"stream_options"

_LOOKED_INTO = 64 * 1024
"""Bytes of a refusal that are looked into, and so held."""


REFUSALS = frozenset({400, 422})
"""The statuses that may mean it; 422 is what some validators say for 400 (facts/wire.md section 8)."""


class OptionRefused(Exception):
    """Raised where an attempt failed for the option alone. Not an error: the request goes again without it."""

    code = "stream_options_refused"
    """What stands on record for the attempt."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Habits:
    """Remembers, while the process lives, which deployments refuse the option."""

    def __init__(self) -> None:
        self._refusing: set[str] = set()

    def takes_option(self, deployment: str) -> bool:
        """False for a deployment that took a request without the option after it had refused the same one with it."""
        return deployment not in self._refusing

    def note_refusal(self, deployment: str) -> None:
        """Remember a deployment that refuses the option."""
        self._refusing.add(deployment)


class Peeked:
    """A Call whose body's beginning has been looked at. Reading it gives every byte as it came."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._chunks: list[bytes] = []
        self._failure: HeadgateError | None = None
        """What the body broke off with while it was looked at."""

    @property
    def sent(self) -> bool:
        """As the call has it."""
        return self._call.sent

    async def head(self) -> Head:
        """As the call has it."""
        return await self._call.head()

    async def names_option(self) -> bool:
        """Whether the body's first 64 KiB name the option. A failure on the way is kept for who reads the body."""
        size = 0
        try:
            while size < _LOOKED_INTO and (chunk := await self._call.read()):
                self._chunks.append(chunk)
                size += len(chunk)
        except HeadgateError as failure:
            self._failure = failure
        except CallAborted:
            pass  # the call says so again to who reads on
        return _OPTION in b"".join(self._chunks)[:_LOOKED_INTO]

    async def read(self, sink: Sink | None = None) -> bytes:
        """The next bytes, as the call gave them; then whatever the call does. Raises as the call does."""
        if self._chunks:
            return self._chunks.pop(0)
        if self._failure is not None:
            raise self._failure
        return await self._call.read(sink)

    def abort(self) -> None:
        """Give up the call."""
        self._call.abort()
