"""Lines of the log: what they say, and that nobody can write one into it."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.records import Attempt, Bill, Ending, Record
from headgate.telemetry.lines import Line, as_json, as_text, level_of, safe
from headgate.usage import Basis, Estimate, Usage
from tests.stores.examples import a_record, any_record

PAID = a_record(
    key="team-a",
    key_id="key_1",
    bill=Bill(account="acme", cost_nanos=750_000, charge_nanos=800_000, flags=("estimated",)),
)


def told(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(as_json(record))
    return found


def test_a_line_for_a_machine() -> None:
    assert told(PAID) == {
        "at": "2025-11-01T12:00:01.000Z",
        "level": "info",
        "logger": "headgate.exchange",
        "exchange_id": "ex_1",
        "key": "team-a",
        "key_id": "key_1",
        "account": "acme",
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": "openai.chat",
        "operation": "create",
        "provider": "openai",
        "model_asked": "gpt-4o",
        "model": "gpt-4o-2024-08-06",
        "streamed": True,
        "status": 200,
        "ending": "complete",
        "basis": "reported",
        "counted": True,
        "input_tokens": 100,
        "cache_read_tokens": 20,
        "output_tokens": 50,
        "reasoning_tokens": 10,
        "cost_nanos": 750_000,
        "cost_usd": "0.00075",
        "charge_nanos": 800_000,
        "charge_usd": "0.0008",
        "duration_ms": 1_000,
        "first_byte_ms": 250,
        "bytes_in": 4_000,
        "bytes_out": 4_000,
        "attempts": 1,
        "response_id": "resp_1",
        "flags": ["estimated"],
    }


def test_a_line_for_people() -> None:
    assert as_text(PAID) == (
        "2025-11-01T12:00:01.000Z INFO    headgate.exchange: 200 complete  openai gpt-4o-2024-08-06  100 in 50 out  "
        "$0.00075  1.000s  first 0.250s  key team-a  [estimated]  ex_1\n"
    )


def test_what_is_not_known_is_not_0() -> None:
    cut = a_record(
        usage=Usage(input_tokens=7), basis=Basis.PARTIAL, estimate=Estimate(None, 3), ending=Ending.UPSTREAM_CUT,
        served_model=None, provider=None, first_byte_ns=None, error="upstream_cut: it broke",
    )  # fmt: skip
    assert "output_tokens" not in told(cut)
    assert (told(cut)["estimated_output_tokens"], told(cut)["level"]) == (3, "warning")
    assert "- gpt-4o  7 in ? out  (estimated ? in 3 out)  1.000s  ex_1  upstream_cut: it broke" in as_text(cut)


@pytest.mark.parametrize(
    ("ending", "status", "level"),
    [
        (Ending.COMPLETE, 200, logging.INFO),
        (Ending.CLIENT_LEFT, 200, logging.INFO),
        (Ending.REFUSED, 429, logging.INFO),
        (Ending.NEVER_SENT, 401, logging.INFO),
        (Ending.NEVER_SENT, 503, logging.WARNING),
        (Ending.REFUSED, 500, logging.WARNING),
        (Ending.UPSTREAM_CUT, 200, logging.WARNING),
        (Ending.UPSTREAM_ERROR, 200, logging.WARNING),
        (Ending.GATEWAY_DIED, 500, logging.WARNING),
    ],
)
def test_what_failed_on_our_side_or_the_providers_is_a_warning(ending: Ending, status: int, level: int) -> None:
    assert level_of(a_record(ending=ending, status=status)) == level


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain, größer, 日本", "plain, größer, 日本"),
        ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
        ("\x1b[31mred\x9b0m\x7f", "\\x1b[31mred\\x9b0m\\x7f"),
        ("\u202egnp.exe\u2028\u200f", "\\u202egnp.exe\\u2028\\u200f"),
        ("\udc80", "\\udc80"),
    ],
)
def test_nothing_controls_the_terminal(text: str, written: str) -> None:
    assert safe(text) == written


nasty = st.text(alphabet=st.characters() | st.sampled_from("\n\r\x1b\x9b\u2028\u202e\x00\ud800")) | st.text()


@given(any_record, nasty)
def test_a_line_is_one_line_whatever_stands_in_it(record: Record, text: str) -> None:
    record = replace(record, path=text, model_asked=text, error=text, key=text)
    for shape in (as_json, as_text):
        written = shape(replace(record, started_at_ns=0, total_ns=0))
        assert len(written.splitlines()) == 1
        assert written.endswith("\n")
        assert safe(written[:-1]) == written[:-1]
        written.encode()
    assert isinstance(json.loads(as_json(replace(record, started_at_ns=0, total_ns=0))), dict)


@given(nasty)
def test_a_machine_reads_what_was_written(text: str) -> None:
    text = text[:900]
    assert json.loads(as_json(Line(0, 20, "x", text)))["message"] == text


def test_a_traceback_is_indented_in_text_and_whole_in_json() -> None:
    line = Line(0, 40, "headgate", "it failed", trace="Traceback:\n  a\nValueError: 2026 INFO forged\x1b")
    assert as_text(line).splitlines()[1:] == ["    Traceback:", "      a", "    ValueError: 2026 INFO forged\\x1b"]
    assert json.loads(as_json(line))["traceback"] == line.trace


def test_what_is_far_too_long_is_cut() -> None:
    assert len(as_text(Line(0, 20, "x", "y" * 100_000))) < 1_100
    assert len(told(replace(PAID, error="y" * 100_000))["error"]) == 1_003


def test_who_was_stood_in_for() -> None:
    attempts = (Attempt("eu", 500, 0, 1), Attempt("us", 200, 1, 2))
    assert "  after eu  " in as_text(a_record(provider="us", attempts=attempts))
