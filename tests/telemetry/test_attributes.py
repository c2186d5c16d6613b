"""What is said of an exchange, under either convention, and what is never said."""

import pytest
from hypothesis import given

from headgate.dialects.base import Ask
from headgate.records import Bill, Ending, Record
from headgate.telemetry.attributes import Site, common, error_type, of_span, span_name
from headgate.telemetry.semconv import VERSIONS
from headgate.usage import Basis, Estimate, Usage
from tests.stores.examples import a_record, any_record

SITES = {"openai": Site("openai", "api.openai.com", 443)}
LATEST, OLD = VERSIONS["latest"], VERSIONS["1.36"]
ASK = Ask(output_cap=64, choices=2, service_tier="flex")
RECORD = a_record(
    key="web",
    finish_reason="stop",
    service_tier="default",
    usage=Usage(input_tokens=100, cache_read_tokens=20, cache_write_tokens=5, output_tokens=50, reasoning_tokens=10),
    bill=Bill(account="acme", cost_nanos=7, charge_nanos=8, flags=("estimated",)),
)


def test_all_that_a_span_says() -> None:
    assert of_span(RECORD, ASK, SITES, LATEST) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.choice.count": 2,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.cache_write.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 10,
        "openai.request.service_tier": "flex",
        "openai.response.service_tier": "default",
        "http.response.status_code": 200,
        "headgate.exchange_id": "ex_1",
        "headgate.deployment": "openai",
        "headgate.dialect": "openai.chat",
        "headgate.key": "web",
        "headgate.account": "acme",
        "headgate.ending": "complete",
        "headgate.basis": "reported",
        "headgate.status": 200,
        "headgate.cost_nanos": 7,
        "headgate.charge_nanos": 8,
        "headgate.flags": ("estimated",),
    }


def test_the_old_convention() -> None:
    said = of_span(RECORD, ASK, SITES, OLD)
    assert said["gen_ai.system"] == "openai"
    assert said["gen_ai.openai.request.service_tier"] == "flex"
    assert said["gen_ai.openai.response.service_tier"] == "default"
    new = {"gen_ai.provider.name", "gen_ai.request.stream", "gen_ai.usage.cache_read.input_tokens"}
    assert not new & said.keys()


def test_what_is_not_known_is_not_said() -> None:
    bare = a_record(
        usage=Usage(), basis=Basis.NONE, served_model=None, response_id=None, dialect=None, operation=None,
        provider=None, model_asked=None, first_byte_ns=None, attempts=(), streamed=False,
    )  # fmt: skip
    assert of_span(bare, None, SITES, LATEST) == {
        "gen_ai.operation.name": "unknown",
        "headgate.exchange_id": "ex_1",
        "headgate.ending": "complete",
        "headgate.basis": "none",
        "headgate.status": 200,
    }


def test_an_estimate_is_no_usage() -> None:
    said = of_span(a_record(usage=Usage(), basis=Basis.ESTIMATED, estimate=Estimate(30, None)), None, SITES, LATEST)
    assert said["headgate.estimated.input_tokens"] == 30
    assert not {name for name in said if name.startswith("gen_ai.usage.")}


@pytest.mark.parametrize(
    ("ending", "status", "error", "told"),
    [
        (Ending.COMPLETE, 200, None, None),
        (Ending.CLIENT_LEFT, 200, None, None),
        (Ending.NEVER_SENT, 499, None, None),
        (Ending.NEVER_SENT, 402, "insufficient_credit: The account has $0.01.", "insufficient_credit"),
        (Ending.REFUSED, 429, None, "429"),
        (Ending.REFUSED, 499, None, "499"),
        (Ending.REFUSED, 200, None, "refused"),
        (Ending.UPSTREAM_CUT, 200, "upstream_connection_lost: It broke.", "upstream_connection_lost"),
        (Ending.UPSTREAM_ERROR, 200, None, "upstream_error"),
        (Ending.GATEWAY_FAILED, 500, None, "gateway_failed"),
    ],
)
def test_errors(ending: Ending, status: int, error: str | None, told: str | None) -> None:
    record = a_record(ending=ending, status=status, error=error)
    assert error_type(record) == told
    assert common(record, SITES, LATEST).get("error.type") == told


def test_the_first_byte_of_a_refusal_is_no_chunk() -> None:
    name = "gen_ai.response.time_to_first_chunk"
    assert name not in of_span(a_record(ending=Ending.REFUSED, status=429), None, SITES, LATEST)
    assert name not in of_span(a_record(streamed=False), None, SITES, LATEST)


def test_names_of_spans() -> None:
    assert span_name(RECORD) == "chat gpt-4o"
    assert span_name(a_record(model_asked=None, dialect=None)) == "unknown"
    assert len(span_name(a_record(model_asked="x" * 10_000))) < 300


@given(any_record)
def test_whatever_a_record_holds_it_is_said_in_values_that_can_be_sent(record: Record) -> None:
    for names in (LATEST, OLD):
        for name, value in of_span(record, ASK, SITES, names).items():
            parts = value if isinstance(value, tuple) else (value,)
            assert all(isinstance(part, str | int | float) for part in parts), name


def test_what_a_provider_said_in_an_error_is_not_repeated() -> None:
    """It may quote what it was asked."""
    secret = "the user's words"
    record = a_record(
        ending=Ending.UPSTREAM_ERROR, error=f"upstream_error: {secret}", in_stream_error=f"bad: {secret}"
    )  # fmt: skip
    assert secret not in str(of_span(record, ASK, SITES, LATEST))
