"""What an operator decides about a key, and the bounds of it. Pure."""

from dataclasses import dataclass

from headgate.access.limits import Limits
from headgate.access.virtual import VirtualKey
from headgate.admin import texts
from headgate.errors import BadRequest

LARGEST_LIMIT = 10**15
"""Of requests or tokens; well within a 64-bit column, and exact as a JSON number everywhere."""
_LAST_NS = 2**63 - 1
_MOST = 100
"""Tags, patterns or providers of one key."""


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What an operator decides about a key."""

    name: str
    account_id: str
    owner: str = ""
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    expires_at_ns: int | None = None
    limits: Limits = Limits()


def terms_of(key: VirtualKey) -> KeyTerms:
    """What was decided about a key."""
    return KeyTerms(
        key.name, key.account_id, key.owner, key.tags, key.models, key.providers, key.expires_at_ns, key.limits
    )


def is_good(key: VirtualKey, now_ns: int) -> bool:
    """Whether the key opens anything at this moment."""
    return key.revoked_at_ns is None and (key.expires_at_ns is None or now_ns < key.expires_at_ns)


def check_terms(terms: KeyTerms) -> None:
    """Raises BadRequest with the name of what is out of bounds."""
    texts.name(terms.name, "name")
    texts.note(terms.owner, "owner")
    for tag in terms.tags:
        texts.name(tag, "tags")
    for param, patterns in (("models", terms.models), ("providers", terms.providers)):
        for pattern in patterns:
            texts.checked(pattern, texts.PATTERN, param, "at most 200 characters, none of them a space")
    for param, values in (("tags", terms.tags), ("models", terms.models), ("providers", terms.providers)):
        if len(values) > _MOST:
            raise BadRequest(f"`{param}`: expected at most {_MOST}.", param=param)
    for field in Limits.__struct_fields__:
        value = getattr(terms.limits, field)
        if value is not None and not 1 <= value <= LARGEST_LIMIT:
            raise BadRequest(f"`limits.{field}`: expected 1 to {LARGEST_LIMIT}.", param=f"limits.{field}")
    if terms.expires_at_ns is not None and not 0 <= terms.expires_at_ns <= _LAST_NS:
        raise BadRequest("`expires_at`: expected a time from 1970 to 2262.", param="expires_at")
