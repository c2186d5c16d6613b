"""Perplexity (facts/wire.md section 8; the endpoints of its SDK 0.46.1).

Every chunk of its streams carries the usage so far, unasked. Chat has no version path; the newer APIs do.
"""

from headgate.providers.base import Provider, StreamUsage

PROVIDER = Provider(
    name="perplexity",
    title="Perplexity",
    base_url="https://api.perplexity.ai",
    dialects=("openai.chat", "openai.embeddings", "openai.responses"),
    api_key_env="PERPLEXITY_API_KEY",
    base_url_env="PERPLEXITY_BASE_URL",
    model_patterns=("sonar", "sonar-*", "pplx-*"),
    stream_usage=StreamUsage.UNASKED,
    roots={"openai.embeddings": "/v1", "openai.responses": "/v1"},
)
