"""The names that models have in labels. Each makes series that Prometheus keeps, and clients may write any name.

A name counts if the gateway knows it beforehand (from the catalogue or the config), or if an answer has come under it.
There are at most `MOST`; the rest is "other". A server that answers to every name cannot take more than half of them
from those that are known.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from headgate.records import Ending, Record
from headgate.usage import Usage, legs_within

MOST = 200
"""Names of models. With a handful of providers it makes for a few thousand samples, which is a scrape of a megabyte."""
LONGEST = 100
"""Characters."""
OTHER = "other"
NONE = "none"
"""Of an exchange that named no model, or got no provider."""

_ANSWERED = frozenset({Ending.COMPLETE, Ending.INCOMPLETE, Ending.CLIENT_LEFT})


class Names:
    """Which name a record's model goes by."""

    def __init__(self, known: AbstractSet[str], most: int = MOST) -> None:
        """`known` names may take all the places, others half of them."""
        self._known = known
        self._most = most
        self._names: set[str] = set()
        self._served: dict[tuple[str | None, str], str] = {}

    def know(self, known: AbstractSet[str]) -> None:
        """Other names are known beforehand from now on. Those that have a place keep it: their series go on."""
        self._known = known

    def of(self, record: Record) -> str:
        """The model that served; where none did, the one that last served under the name that was asked for.

        So an exchange that failed counts beside those that went well, though its answer names no model.
        """
        served, asked = record.reading.served_model, _asked(record)
        if served is not None or (asked is not None and record.status < 400 and record.ending in _ANSWERED):
            name = self.admitted(served or asked or NONE)
            if asked is not None and name != OTHER and len(self._served) < 4 * self._most:
                self._served[record.provider, asked] = name
            return name
        if asked is None:
            return NONE
        known = self._served.get((record.provider, asked))
        if known is not None:
            return known
        return self.admitted(asked) if asked in self._known else OTHER

    def used(self, record: Record) -> Iterator[tuple[str, Usage]]:
        """What a record adds to the sums of tokens, by model: the answer's own usage, and its legs' under theirs."""
        if record.counted:
            model, usage = self.of(record), record.reading.usage
            yield model, usage
            for leg_model, leg in legs_within(usage, None):
                yield self.admitted(leg_model) if leg_model else model, leg

    def admitted(self, name: str) -> str:
        """The name, if it has a place or there is one left for it, or else OTHER."""
        if name in self._names:
            return name
        most = self._most if name in self._known else self._most // 2
        if len(self._names) >= most or len(name) > LONGEST:
            return OTHER
        self._names.add(name)
        return name


def _asked(record: Record) -> str | None:
    """The model asked for, without the provider's name before it."""
    asked, provider = record.model_asked, record.provider
    if asked is not None and provider is not None and asked.lower().startswith(f"{provider.lower()}/"):
        return asked[len(provider) + 1 :]
    return asked
