"""The conventions' names, where the SDK's own constants still have them."""

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, openai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes

from headgate.dialects import registry
from headgate.dialects.base import Metering
from headgate.providers import registry as providers
from headgate.telemetry import semconv
from headgate.telemetry.semconv import VERSIONS, operation_name, provider_name

KNOWN = {
    value
    for module in (
        gen_ai_attributes,
        openai_attributes,
        gen_ai_metrics,
        error_attributes,
        http_attributes,
        server_attributes,
    )
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
RENAMED = {"gen_ai.usage.cache_write.input_tokens"}
"""Since the package was made (semantic-conventions-genai, pull request 440)."""


def test_names_are_the_conventions() -> None:
    ours = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    latest = VERSIONS["latest"]
    ours |= {value for name in latest.__slots__ if (value := getattr(latest, name)) is not None}
    assert ours - KNOWN == RENAMED


def test_the_old_version_has_the_old_names() -> None:
    old = VERSIONS["1.36"]
    assert old.provider == gen_ai_attributes.GEN_AI_SYSTEM
    assert old.service_tier_asked == gen_ai_attributes.GEN_AI_OPENAI_REQUEST_SERVICE_TIER
    assert old.service_tier_served == gen_ai_attributes.GEN_AI_OPENAI_RESPONSE_SERVICE_TIER


def test_providers_that_the_conventions_know_have_their_names() -> None:
    known = {member.value for member in gen_ai_attributes.GenAiProviderNameValues}
    ours = {provider_name(provider.name) for provider in providers.all_providers()}
    assert set(semconv._PROVIDERS.values()) <= known
    assert {"openai", "anthropic", "cohere", "deepseek", "groq", "perplexity"} <= ours & known
    assert set(semconv._PROVIDERS) <= {provider.name for provider in providers.all_providers()}


@pytest.mark.parametrize(
    ("dialect", "operation", "name"),
    [
        ("openai.chat", "create", "chat"),
        ("openai.chat", "list", "openai.chat.list"),
        ("openai.completions", "create", "text_completion"),
        ("openai.embeddings", "create", "embeddings"),
        ("openai.responses", "create", "chat"),
        ("openai.realtime", "connect", "chat"),
        ("openai.images", "generate", "openai.images.generate"),
        ("anthropic.messages", "create", "chat"),
        ("anthropic.batches", "create", "anthropic.batches.create"),
        ("azure.deployments", "complete", "text_completion"),
        ("azure.deployments", "chat", "chat"),
        ("azure.deployments", "embed", "embeddings"),
        ("bedrock.converse", "converse_stream", "chat"),
        ("cohere", "chat_v1", "chat"),
        ("cohere", "rerank", "cohere.rerank"),
        ("google.generate_content", "stream", "generate_content"),
        ("google.generate_content", "embed_batch", "embeddings"),
        ("vertex.generate_content", "generate_express", "generate_content"),
        ("vertex.messages", "stream", "chat"),
        ("ollama", "generate", "text_completion"),
        (None, None, "unknown"),
        ("openai.chat", None, "unknown"),
    ],
)
def test_operations(dialect: str | None, operation: str | None, name: str) -> None:
    assert operation_name(dialect, operation) == name


def test_what_is_free_is_no_operation_of_a_model() -> None:
    known = {member.value for member in gen_ai_attributes.GenAiOperationNameValues}
    for dialect in registry.all_dialects():
        for operation in dialect.operations:
            if operation.metering is Metering.FREE:
                assert operation_name(dialect.name, operation.name) not in known


def test_buckets_are_those_that_are_advised() -> None:
    assert semconv.TOKEN_BUCKETS[:3] == (1, 4, 16)
    assert semconv.TOKEN_BUCKETS[-1] == 67108864
    assert (semconv.SECOND_BUCKETS[0], round(semconv.SECOND_BUCKETS[-1], 2)) == (0.01, 81.92)
