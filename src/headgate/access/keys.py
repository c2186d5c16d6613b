"""Gateway keys that the operator writes in the config: who may use the gateway at all, and under which name.

Only digests are kept, so nothing of a key can be printed; they are looked up by digest, which leaks no timing of the
key itself.
"""

import hashlib
from collections.abc import Mapping


class Keys:
    """Named keys. None at all means that the gateway is open to whoever reaches it."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names = {_digest(secret.encode()): name for name, secret in secrets.items()}

    @property
    def open(self) -> bool:
        """True if no key is asked for."""
        return not self._names

    def holder(self, presented: bytes) -> str | None:
        """The name of a presented key, or None if it is not one of ours."""
        return self._names.get(_digest(presented)) if self._names else None


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
