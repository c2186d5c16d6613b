"""Who asks: an operator's key, a virtual key, or nobody in particular where the gateway is open."""

from collections.abc import Callable

from msgspec import Struct

from headgate.access.directory import Directory
from headgate.access.keys import Keys
from headgate.access.virtual import PREFIX, VirtualKey, digest_of
from headgate.errors import Unauthorized
from headgate.gateway.headers import bare, credentials_of
from headgate.gateway.request import Request
from headgate.gateway.upstream import Headers

_PREFIX = PREFIX.encode()


class Holder(Struct, frozen=True):
    """Who a request is from."""

    name: str | None = None
    """The key's name; None where the gateway is open."""
    key: VirtualKey | None = None
    """The virtual key, and with it the account that pays; None for others, who have no account."""

    @property
    def key_id(self) -> str | None:
        """The virtual key's id."""
        return None if self.key is None else self.key.key_id

    @property
    def account_id(self) -> str | None:
        """Who pays."""
        return None if self.key is None else self.key.account_id

    def is_same(self, other: "Holder") -> bool:
        """Whether both are one key's, however it was changed in between."""
        return (self.name, self.key_id) == (other.name, other.key_id)


NOBODY = Holder()


class Doorkeeper(Struct):
    """Knows the keys. There is one in a process: a key that the settings lose is good for nothing, at once."""

    keys: Keys
    directory: Directory
    secret: bytes
    """What digests of virtual keys are made with."""
    wall_ns: Callable[[], int]
    closed: bool = False
    """A key is needed even where none has been made."""

    def change(self, keys: Keys, *, closed: bool) -> None:
        """Go by other keys from now on: who was let in stays in."""
        self.keys, self.closed = keys, closed

    async def holder(self, request: Request) -> Holder:
        """Who a request is from. Raises Unauthorized if that takes a key, and it has none that is good.

        A gateway is open only as long as nobody has made any key. One that is presented but is not known is refused
        even then: a revoked or mistyped key must not be better than a good one.
        """
        presented = [bare(value) for _, value in credentials_of(request.headers, request.query)]
        for value in presented:
            name = self.keys.holder(value)
            if name is not None:
                return Holder(name)
        for value in presented:
            if value.startswith(_PREFIX):
                return await self._virtual(value)
        if await self.is_open():
            return NOBODY
        raise Unauthorized("This gateway needs one of its own keys, as a bearer token or in x-api-key.")

    async def is_open(self) -> bool:
        """Whether whoever reaches the gateway may use it, because nobody has made any key."""
        return self.keys.open and not self.closed and await self.directory.empty()

    def others(self, request: Request) -> Headers:
        """The credentials that are not of this gateway: the client's own, which may go on to a provider."""
        return [
            pair
            for pair in credentials_of(request.headers, request.query)
            if not bare(pair[1]).startswith(_PREFIX) and self.keys.holder(bare(pair[1])) is None
        ]

    async def _virtual(self, text: bytes) -> Holder:
        key = await self.directory.by_digest(digest_of(text, self.secret))
        if key is None:
            raise Unauthorized("This key is not one of this gateway's.")
        key.check(self.wall_ns())
        return Holder(key.name, key)
