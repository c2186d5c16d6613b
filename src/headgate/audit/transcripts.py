"""Transcript: the bodies of an exchange, made legible, redacted and bounded. Times are nanoseconds since the epoch."""

from dataclasses import dataclass, replace

from headgate.audit.deeds import lowered


@dataclass(frozen=True, slots=True)
class Body:
    """One body, as kept."""

    text: str = ""
    """Its beginning, without secrets."""
    size: int = 0
    """Bytes of the whole body, as it passed."""
    kept_bytes: int = 0
    """Bytes of the text, in UTF-8."""
    truncated: bool = False
    """There was more than is kept."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in an exchange: the request as the client wrote it, the answer as the client was sent it."""

    exchange_id: str
    at_ns: int
    """When the exchange began."""
    key: str | None
    """The name of the key, as in the record."""
    key_id: str | None
    dialect: str | None
    operation: str | None
    path: str
    request: Body
    response: Body

    def without_texts(self) -> "Transcript":
        """As it stands in a list."""
        return replace(self, request=replace(self.request, text=""), response=replace(self.response, text=""))


@dataclass(frozen=True, slots=True)
class TranscriptsWanted:
    """Which transcripts; None is any."""

    since_ns: int | None = None
    until_ns: int | None = None
    """Those that began before it."""
    key: str | None = None
    """The name or the id of a key."""
    text: str | None = None
    """What one of the texts holds; upper and lower case of A to Z are alike."""

    def covers(self, transcript: Transcript) -> bool:
        """Whether it is one of those, but for the text: the rule that a store's SQL has to say."""
        return (
            (self.since_ns is None or transcript.at_ns >= self.since_ns)
            and (self.until_ns is None or transcript.at_ns < self.until_ns)
            and (self.key is None or self.key in {transcript.key, transcript.key_id})
        )

    def holds(self, transcript: Transcript) -> bool:
        """Whether it has the text."""
        texts = (transcript.request.text, transcript.response.text)
        return self.text is None or any(lowered(self.text) in lowered(text) for text in texts)


@dataclass(frozen=True, slots=True)
class TranscriptPage:
    """Some transcripts, newest first, without their texts."""

    found: tuple[Transcript, ...]
    more: tuple[int, str] | None
    """Where to go on, (at_ns, exchange_id); None where there is nothing left to look at.

    A page may be short, or empty, and yet have more: a search for a text looks at SCANNED transcripts at a time.
    """


SCANNED = 250
"""How many transcripts a search looks through for a text before it answers: 32 MB at most by default, some 100 ms."""
