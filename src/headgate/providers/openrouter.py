"""OpenRouter (facts/wire.md section 8; the endpoints of its SDK 1.3.84).

Its streams carry usage unasked; the option to ask is a deprecated no-op. Its model names are author/slug, and so
collide with our deployment prefixes: `openrouter/anthropic/claude-opus-4.5` is the unambiguous spelling.
"""

from headgate.providers.base import Provider, StreamUsage

PROVIDER = Provider(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai/api/v1",
    dialects=("openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"),
    api_key_env="OPENROUTER_API_KEY",
    base_url_env="OPENROUTER_BASE_URL",
    model_patterns=("openrouter/*", "~*/*"),
    stream_usage=StreamUsage.UNASKED,
)
