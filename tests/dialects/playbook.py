"""Short words for tests that tell a conversation: what an upstream says, and what is read from it."""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from msgspec.structs import fields

from headgate.dialects.base import Answer, Ask
from headgate.dialects.registry import by_name
from headgate.framing.eventstream import encode
from headgate.testing.corpus import Case
from headgate.usage import Reading


def read(
    dialect: str, chunks: Iterable[bytes], *, ended: bool = True, status: int = 200, ask: Ask | None = None
) -> Reading:
    """What a meter makes of a body that comes in these chunks."""
    meter = by_name(dialect).meter(Answer(status), ask)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(ended=ended)


def asked(dialect: str, body: Any, headers: Sequence[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    """What an ask takes from a body, by field: all that it did not leave as it was, but for the model and the size."""
    text = _as_bytes(body)
    ask = by_name(dialect).read_ask(text, headers)
    assert ask.input_bytes == len(text)
    told = {field.name: getattr(ask, field.name) for field in fields(Ask) if getattr(ask, field.name) != field.default}
    return {name: value for name, value in told.items() if name not in {"model", "input_bytes"}}


def replay(case: Case, chunks: Iterable[bytes]) -> Reading:
    """What a meter makes of a recording that comes in these chunks."""
    headers = [(name.encode(), count.encode()) for name, count in case.usage_headers.items()]
    meter = by_name(case.wire_dialect).meter(Answer(case.status, case.content_type, headers=headers))
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(ended=True)


def data(*payloads: Any) -> bytes:
    """Events without names: objects as JSON, bytes as they stand."""
    return b"".join(b"data: " + (p if isinstance(p, bytes) else json.dumps(p).encode()) + b"\n\n" for p in payloads)


def events(*payloads: dict[str, Any]) -> bytes:
    """Events named by their type, as OpenAI's Responses and Anthropic send them."""
    return b"".join(b"event: " + p["type"].encode() + b"\n" + data(p) for p in payloads)


def aws_event(name: str, payload: dict[str, Any] | bytes) -> bytes:
    """A message of an AWS event stream."""
    return encode({":event-type": name, ":message-type": "event"}, _as_bytes(payload))


def aws_exception(name: str, payload: dict[str, Any] | bytes) -> bytes:
    """A message of an AWS event stream that tells of a failure."""
    return encode({":exception-type": name, ":message-type": "exception"}, _as_bytes(payload))


def _as_bytes(payload: dict[str, Any] | bytes) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def refuse(text: msgspec.Raw) -> Any:
    """A decoder that nothing fits."""
    raise ValueError(bytes(text))


def both_ways(module: ModuleType, reads: Callable[[], Reading]) -> tuple[Reading, Reading]:
    """A reading, and the same where no usage object fits the usual shape that a module decodes."""
    with pytest.MonkeyPatch.context() as patch:
        usual = reads()
        patch.setattr(module, "USAGE", refuse)
        return usual, reads()


COUNTS = st.integers(0, 9)
ODD: st.SearchStrategy[Any] = st.sampled_from([None, -1, 0.5, 2.0, "7", "flex", "\ud800", True, [], {}, 2**40, 10**30])


def usages(always: Sequence[str], names: Sequence[str], objects: Sequence[str]) -> st.SearchStrategy[Any]:
    """Usage objects, most of them usual: counts by these names, also in objects by these; and what is none."""
    plain = st.dictionaries(st.sampled_from(names), COUNTS, max_size=4)
    flat = plain | st.dictionaries(st.sampled_from(names), COUNTS | ODD, max_size=4)
    return ODD | st.builds(
        lambda *parts: {name: value for part in parts for name, value in part.items()},
        st.fixed_dictionaries({}, optional=dict.fromkeys(always, COUNTS)),
        flat,
        st.dictionaries(st.sampled_from(objects), flat | ODD, max_size=3),
    )


def document(payload: Any) -> bytes:
    """A whole answer."""
    return json.dumps(payload).encode()


def single_bytes(body: bytes) -> Iterable[bytes]:
    """The body one byte at a time."""
    return (body[at : at + 1] for at in range(len(body)))


def cut_at(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The body cut at these places."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 2**24), max_size=20)
"""Where to cut a body, for `cut_at`."""
