"""Deed: one action of an administrator. Kept before it is done, and for good; how it ended is added once.

Times are nanoseconds since the Unix epoch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did what to what, and how it ended."""

    deed_id: str
    """Made by whoever keeps it, so that a repeat after a lost answer is the same deed."""
    at_ns: int
    actor: str
    """The name of the admin key, "cli:USER" for the command line, "signal", or "nobody" who was refused."""
    action: str
    """The operation's name in the admin API, such as "top_up"."""
    subject: str
    """To what, such as "account/team-a"."""
    status: int | None = None
    """As in HTTP: below 400 it was done, below 500 refused; from 500 on it failed, and may be done all the same.

    None while it is under way, and for good if nobody lived to tell."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for: JSON values, never a secret."""

    @property
    def detail_text(self) -> str:
        """The detail as JSON: as it is kept, and searched."""
        return json.dumps(self.detail, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class DeedsWanted:
    """Which deeds; None is any."""

    since_ns: int | None = None
    until_ns: int | None = None
    """Those before it."""
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    text: str | None = None
    """What the actor, action, subject or detail holds; upper and lower case of A to Z are alike."""

    def fits(self, deed: Deed) -> bool:
        """Whether a deed is one of those: the rule that a store's SQL has to say."""
        texts = (deed.actor, deed.action, deed.subject, deed.detail_text)
        return (
            (self.since_ns is None or deed.at_ns >= self.since_ns)
            and (self.until_ns is None or deed.at_ns < self.until_ns)
            and (self.actor is None or self.actor == deed.actor)
            and (self.action is None or self.action == deed.action)
            and (self.subject is None or self.subject == deed.subject)
            and (self.text is None or any(lowered(self.text) in lowered(text) for text in texts))
        )


def lowered(text: str) -> str:
    """The text with A to Z in lower case and all else as it is: what SQLite and PostgreSQL agree on."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
