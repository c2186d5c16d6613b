"""What every framing has in common."""

from typing import NamedTuple, Protocol

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""The largest frame that is kept for metering, and so a meter's memory bound. Real terminal events of the Responses
API repeat the whole output, images included, and pass 1 MiB (facts/stream_cases.md 3.5, 8.13)."""


class Frame(NamedTuple):
    """One unit of a framing: the event's name where the framing has names (else b""), and its payload."""

    event: bytes
    data: bytes


class Framing(Protocol):
    """Cuts a byte stream into frames. The same bytes give the same frames however they are split."""

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that this chunk completes, in order. Never raises."""

    def end(self) -> list[Frame]:
        """The frames that the end of the stream completes: an unterminated last one is given as it stands."""

    @property
    def oversize(self) -> int:
        """How many frames so far were over MAX_FRAME_BYTES and passed over."""

    @property
    def corrupt(self) -> int:
        """How many frames so far were damaged and passed over; 0 where the framing has no checksums."""

    @property
    def unterminated(self) -> bool:
        """True after `end` if the stream stopped inside a frame."""
