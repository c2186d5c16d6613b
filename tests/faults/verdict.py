"""What must hold of every exchange, whatever went wrong."""

import json
import re
from collections.abc import Iterable
from fractions import Fraction
from math import floor

from headgate import errors
from headgate.dialects import registry as dialects
from headgate.dialects.base import Answer, Dialect
from headgate.errors import HeadgateError
from headgate.ledger.entries import Entry, EntryKind
from headgate.records import Ending, Record, Settled
from headgate.settlement import TABLE, Verdict
from headgate.testing.corpus import Case
from headgate.testing.faults import Corrupt, Stall
from headgate.usage import Basis, Reading, Usage
from tests.dialects import expected
from tests.faults.plays import WAYS, Play
from tests.faults.stage import Message, Played

RESOLVING = {EntryKind.CAPTURE, EntryKind.VOID, EntryKind.EXPIRE}
COUNTS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
)  # fmt: skip


def judge(outcome: Played) -> None:
    """Raises AssertionError where something does not hold."""
    _the_books_balance(outcome)
    records = {record.exchange_id: record for record in outcome.records}
    for message in outcome.told:
        _the_client_was_told_the_truth(outcome, message, records)
    for record in outcome.records:
        _the_reading_is_no_more_than_the_truth(outcome.play, record)


def _the_books_balance(outcome: Played) -> None:
    """One hold, one resolution and one record for each exchange that was let in; together what the account paid."""
    by_hold: dict[str, list[Entry]] = {}
    for entry in outcome.entries:
        assert entry.hold_id is not None
        by_hold.setdefault(entry.hold_id, []).append(entry)
    held = {record.exchange_id: record for record in outcome.records if record.bill.settled is not None}
    assert by_hold.keys() == held.keys()
    for hold_id, own in by_hold.items():
        record = held[hold_id]
        assert len([entry for entry in own if entry.kind in RESOLVING]) == 1, own
        assert -sum(entry.posted_nanos for entry in own) == (record.bill.charge_nanos or 0), record
        assert sum(entry.held_nanos for entry in own) == 0, own
        assert record.bill.settled is not Settled.DISPUTED
        if TABLE[record.ending] is Verdict.VOID:
            assert record.bill.charge_nanos == 0, record
    assert outcome.charged_nanos == sum(record.bill.charge_nanos or 0 for record in outcome.records)
    for record in outcome.records:
        assert record.ending is not Ending.GATEWAY_FAILED, record
        assert record.bill.settled is not None or record.ending is Ending.NEVER_SENT, record


def _the_client_was_told_the_truth(outcome: Played, message: Message, records: dict[str, Record]) -> None:
    """A part of what the provider sent, from its beginning; or that and one error frame; or an error in its dialect."""
    if not message.status:
        return
    exchange_id = message.headers.get("x-headgate-exchange-id")
    if exchange_id is None:  # the server's own word on what is no HTTP
        assert message.status in (400, 408), message
        assert not _clean(outcome.play), message
        return
    record = records[exchange_id]
    assert record.status == message.status, (record, message)
    sent = [said.body for said in outcome.said if said.status == message.status]
    if outcome.play.strips:
        stripped = [_without_usage_frames(body) for body in sent]
        sent = stripped + (sent if outcome.play.corrupts else [])  # a frame that is changed may be another
    if any(body.startswith(message.body) for body in sent):
        told_as_whole = message.complete and record.bytes_out == len(message.body)
        assert not message.complete or told_as_whole, (record, message)
        assert not message.complete or record.ending is not Ending.UPSTREAM_CUT, "a cut that nobody was told of"
        return
    assert record.error is not None, (record, message, outcome.said)
    if message.status >= 400:
        told = record.error.partition(": ")[2]
        assert not message.complete or any(told in text for text in _texts(json.loads(message.body)))
        return
    assert record.dialect is not None
    ends = _ends(dialects.by_name(record.dialect), _error(record.error), exchange_id)
    assert any(_follows(body, end, message) for body in sent for end in ends), (record, message, outcome.said)


def _ends(dialect: Dialect, error: HeadgateError, exchange_id: str) -> list[bytes]:
    """The error as it may end a stream: a frame; or where a dialect has them, a line, or an element and a bracket."""
    frame, piece = dialect.error_frame(error, exchange_id), dialect.error_piece(error, exchange_id)
    if dialect.other_stream_type is None:
        return [frame]
    return [frame, piece + b"\n", piece + b"]", b"," + piece + b"]"]


def _follows(sent: bytes, frame: bytes, message: Message) -> bool:
    """Whether the client has a part of what was sent, and then the frame; of that a part where it had left by then."""
    body = message.body
    if message.complete:
        return body.endswith(frame) and sent.startswith(body.removesuffix(frame))
    starts = range(max(0, len(body) - len(frame)), len(body))
    return any(sent.startswith(body[:start]) and frame.startswith(body[start:]) for start in starts)


def _texts(value: object) -> Iterable[str]:
    """All strings in a JSON value."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def _error(told: str) -> HeadgateError:
    """The error of a record's `code: message`."""
    code, _, text = told.partition(": ")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HeadgateError)]
    return next(kind for kind in kinds if kind.code == code)(text)


def _without_usage_frames(body: bytes) -> bytes:
    """The body without the whole frames that come only because usage was asked for."""

    def is_usage_only(frame: bytes) -> bool:
        data = frame.strip().removeprefix(b"data:").strip()
        try:
            value = json.loads(data) if data.startswith(b"{") else {}
        except ValueError:
            return False
        return value.get("choices") == [] and isinstance(value.get("usage"), dict)

    frames: Iterable[bytes] = re.findall(rb".*?(?:\r?\n\r?\n|\Z)", body, re.DOTALL)
    return b"".join(frame for frame in frames if not (frame.endswith(b"\n\n") and is_usage_only(frame)))


def _the_reading_is_no_more_than_the_truth(play: Play, record: Record) -> None:
    """What was reported stands where the provider reported it to the end; before that it is less, never more."""
    if play.corrupts or record.ending is Ending.NEVER_SENT:
        return
    truth, whole = expected.usage(play.case), _whole(play.case)
    reading = record.reading
    # Of a document that is none any more, nobody can tell the text from the rest; of gzip, more is read than came in.
    came = len(play.case.body) if play.zipped else record.bytes_in
    most = whole.delivered_bytes if play.case.stream else max(whole.delivered_bytes, came)
    assert reading.delivered_bytes <= most, (reading, whole)
    if record.ending is Ending.COMPLETE:
        assert reading.usage == truth, (reading, truth)
    if reading.basis is Basis.REPORTED:
        assert reading.usage == truth, (reading, truth)
    for name in COUNTS:
        assert _at_most(reading.usage, truth, name), (name, reading, truth)
    bill = record.bill
    charge, hold = bill.charge_nanos or 0, bill.hold_nanos or 0
    assert charge <= hold or "overrun" in bill.flags
    exact = sum(
        (Fraction(line.quantity) * Fraction(line.dollars) * 10**9 / line.per for line in bill.lines), Fraction()
    )
    if bill.lines and bill.price_source != "reported":
        assert bill.cost_nanos == floor(exact + Fraction(1, 2))


def _at_most(usage: Usage, truth: Usage, name: str) -> bool:
    told: int | None = getattr(usage, name)
    return told is None or told <= (getattr(truth, name) or 0)


def _whole(case: Case) -> Reading:
    """The reading of all of it."""
    meter = dialects.by_name(WAYS[case.wire_dialect].dialect).meter(Answer(case.status, case.content_type))
    meter.feed(case.body)
    return meter.finish(ended=True)


def _clean(play: Play) -> bool:
    """The request arrives as it was sent."""
    return not any(isinstance(fault, Corrupt | Stall) for fault in play.client_side.up)
