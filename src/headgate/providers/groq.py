"""Groq (facts/wire.md section 8; the endpoints of its SDK 1.7.0; console.groq.com/docs/openai for Responses).

Its streams carry usage unasked. Asking for it makes Groq send it twice.
"""

from headgate.providers.base import Provider, StreamUsage

PROVIDER = Provider(
    name="groq",
    title="Groq",
    base_url="https://api.groq.com/openai/v1",
    dialects=("openai.chat", "openai.embeddings", "openai.responses", "openai.audio", "openai.files", "openai.batches"),
    api_key_env="GROQ_API_KEY",
    base_url_env="GROQ_BASE_URL",
    model_patterns=("groq/compound*",),
    stream_usage=StreamUsage.UNASKED,
    sdk_path="/openai/v1",
)
