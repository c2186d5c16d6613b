"""Whether an answer is right: to the byte, or by what it says where a gateway writes answers anew."""

from typing import Protocol

from bench import script
from bench.apis import Meaning
from bench.script import Script


class Check(Protocol):
    """Judges one answer after another."""

    def begin(self) -> None:
        """A new answer."""

    def feed(self, piece: bytes) -> None:
        """A piece of its body."""

    def right(self) -> bool:
        """The body is over: it was what it had to be."""


class ToTheByte:
    """Compares as the bytes come, and keeps none of them."""

    def __init__(self, expected: bytes) -> None:
        self._expected = expected
        self.begin()

    def begin(self) -> None:
        """From the first byte."""
        self._received, self._right = 0, True

    def feed(self, piece: bytes) -> None:
        """Compare with what must come."""
        self._right = self._right and self._expected.startswith(piece, self._received)
        self._received += len(piece)

    def right(self) -> bool:
        """Nothing was wrong, and nothing is missing."""
        return self._right and self._received == len(self._expected)


class ByMeaning:
    """Reads the whole answer as a client would: its text, its end, and the output tokens that it tells."""

    def __init__(self, asked: Script, expected: Meaning) -> None:
        self._asked, self._expected = asked, expected
        self.begin()

    def begin(self) -> None:
        """From the first byte."""
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        """Keep it."""
        self._body += piece

    def right(self) -> bool:
        """It says what the upstream's own answer says."""
        try:
            return script.meaning(self._asked, bytes(self._body)) == self._expected
        except (ValueError, LookupError, TypeError, AttributeError):
            return False


def check_of(asked: Script, *, exact: bool) -> Check:
    """The judge of a lane's answers."""
    return ToTheByte(script.expected_body(asked)) if exact else ByMeaning(asked, script.expected_meaning(asked))
