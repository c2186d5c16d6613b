"""Names that OpenTelemetry's conventions for generative AI give to things, by version.

They are on the move: in 2026 they went into a repository of their own, no package of constants goes with it, and some
names changed on the way (`gen_ai.system` became `gen_ai.provider.name` in 1.37, cache creation became cache write). So
they stand here, and `[tracing] semconv` chooses. What is ours alone begins with `headgate.`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Convention:
    """The names that differ from version to version; None where a version has none."""

    provider: str
    service_tier_asked: str
    service_tier_served: str
    streamed: str | None = None
    cache_read: str | None = None
    cache_write: str | None = None
    reasoning: str | None = None
    first_chunk: str | None = None
    """The time to the first chunk, in seconds, as an attribute."""
    first_chunk_metric: str | None = None
    schema_url: str | None = None


VERSIONS: Mapping[str, Convention] = MappingProxyType(
    {
        "latest": Convention(
            provider="gen_ai.provider.name",
            service_tier_asked="openai.request.service_tier",
            service_tier_served="openai.response.service_tier",
            streamed="gen_ai.request.stream",
            cache_read="gen_ai.usage.cache_read.input_tokens",
            cache_write="gen_ai.usage.cache_write.input_tokens",
            reasoning="gen_ai.usage.reasoning.output_tokens",
            first_chunk="gen_ai.response.time_to_first_chunk",
            first_chunk_metric="gen_ai.client.operation.time_to_first_chunk",
        ),
        "1.36": Convention(
            provider="gen_ai.system",
            service_tier_asked="gen_ai.openai.request.service_tier",
            service_tier_served="gen_ai.openai.response.service_tier",
            schema_url="https://opentelemetry.io/schemas/1.36.0",
        ),
    }
)

OPERATION = "gen_ai.operation.name"
REQUEST_MODEL = "gen_ai.request.model"
MAX_TOKENS = "gen_ai.request.max_tokens"
CHOICES = "gen_ai.request.choice.count"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
"""All that was read, what was cached among it: the conventions ask for that, and so does `Usage`."""
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  (the name of an attribute)
SERVER_ADDRESS, SERVER_PORT = "server.address", "server.port"
ERROR_TYPE = "error.type"
STATUS = "http.response.status_code"

TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  (the name of a metric)
DURATION = "gen_ai.client.operation.duration"
TOKEN_BUCKETS = tuple(float(4**n) for n in range(14))
SECOND_BUCKETS = tuple(0.01 * 2**n for n in range(14))
"""Bounds that the conventions advise."""

_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "azure": "azure.ai.openai",
        "bedrock": "aws.bedrock",
        "google": "gcp.gemini",
        "mistral": "mistral_ai",
        "vertex": "gcp.vertex_ai",
        "xai": "x_ai",
    }
)

_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "openai.completions": "text_completion",
        "openai.embeddings": "embeddings",
        "openai.responses": "chat",
        "openai.realtime": "chat",
        "openai.chat": "chat",
        "anthropic.messages": "chat",
        "vertex.messages": "chat",
        "bedrock.converse": "chat",
        "bedrock.invoke": "chat",
        "google.interactions": "generate_content",
    }
)
"""What is asked for by a dialect's generating operations, where all of them are of one kind."""

_SINGLE: Mapping[str, str] = MappingProxyType(
    {"azure.deployments.complete": "text_completion", "ollama.generate": "text_completion"}
)

_GENERATING = frozenset(
    {"create", "compact", "connect", "stream", "converse", "converse_stream", "invoke", "invoke_stream"}
)


def provider_name(provider: str) -> str:
    """A provider's name in the conventions; headgate's own where they have none."""
    return _PROVIDERS.get(provider, provider)


def operation_name(dialect: str | None, operation: str | None) -> str:
    """The kind of an operation: chat, embeddings, ...; headgate's own name for one that the conventions do not know."""
    if dialect is None or operation is None:
        return "unknown"
    if dialect in _OPERATIONS and operation in _GENERATING:
        return _OPERATIONS[dialect]
    if operation.startswith("embed"):
        return "embeddings"
    if operation in {"chat", "chat_v1"}:
        return "chat"
    if dialect.endswith(".generate_content") and operation.startswith(("generate", "stream")):
        return "generate_content"
    own = f"{dialect}.{operation}"
    return _SINGLE.get(own, own)
