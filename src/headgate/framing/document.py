"""A whole body as one frame."""

from headgate.framing.base import MAX_FRAME_BYTES, Frame

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"


class Document:
    """The Framing of a body that is one document. Fulfils `framing.base.Framing`.

    The frame comes at the end, without what stands before the document: blank lines that keep a connection alive
    (facts/stream_cases.md 7.14), and a byte order mark, which RFC 8259 section 8.1 lets a reader ignore.
    """

    __slots__ = ("_body", "_bound", "oversize")

    corrupt = 0
    unterminated = False
    """Whether a document is whole only its own syntax tells, and that is not a framing's to know."""

    def __init__(self, bound: int = MAX_FRAME_BYTES) -> None:
        self._bound = bound
        self._body = bytearray()
        self.oversize = 0

    def feed(self, chunk: bytes) -> list[Frame]:
        """Keep the chunk; over the bound the body is given up and its memory freed. Gives no frame."""
        if not self.oversize:
            self._body += chunk
            if len(self._body) > self._bound:
                self.oversize = 1
                self._body.clear()
        return []

    def end(self) -> list[Frame]:
        """The body as one frame; none if there was nothing but white space, or it was over the bound."""
        body = bytes(self._body).lstrip(_SPACE).removeprefix(_BOM)
        return [Frame(b"", body)] if body else []
