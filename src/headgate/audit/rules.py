"""Whose bodies are kept: by key, by tag, by route. Without a rule nobody's are."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule looks at: who asks what."""

    key: str | None
    """The name of the key."""
    key_id: str | None
    tags: Sequence[str]
    """Of the key, as they are now."""
    dialect: str | None
    operation: str | None
    path: str
    """As asked."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is named has to fit, all of it; of each, one is enough. A rule that names nothing fits nothing."""

    keys: frozenset[str] = frozenset()
    """Names or ids."""
    tags: frozenset[str] = frozenset()
    routes: tuple[str, ...] = ()
    """A dialect, "openai.chat"; one of its operations, "openai.chat/create"; or the beginning of a path, "/v1/"."""

    def fits(self, said: Said) -> bool:
        """Whether this is to be kept."""
        return (
            bool(self.keys or self.tags or self.routes)
            and (not self.keys or said.key in self.keys or said.key_id in self.keys)
            and (not self.tags or not self.tags.isdisjoint(said.tags))
            and (not self.routes or any(_is_on(route, said) for route in self.routes))
        )


def _is_on(route: str, said: Said) -> bool:
    if route.startswith("/"):
        return said.path.startswith(route)
    dialect, slash, operation = route.partition("/")
    return dialect == said.dialect and (not slash or operation == said.operation)
