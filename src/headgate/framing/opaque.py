"""A body in which nothing can be read: audio, a picture, subtitles."""

from headgate.framing.base import Frame


class Opaque:
    """The Framing of a body that has no frames; it keeps nothing. Fulfils `framing.base.Framing`."""

    __slots__ = ()

    oversize = 0
    corrupt = 0
    unterminated = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """No frame."""
        del chunk
        return []

    def end(self) -> list[Frame]:
        """No frame."""
        return []
