"""LiteLLM's proxy: another gateway as an upstream (facts/wire.md section 8).

It asks for the usage of a stream by itself and takes it out again, so it is asked like any other.
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="litellm",
    title="LiteLLM proxy",
    base_url="http://127.0.0.1:4000/v1",
    dialects=(
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "anthropic.messages",
        "rerank",
        "openai.audio",
        "openai.images",
        "openai.files",
        "openai.batches",
    ),
    api_key_env="LITELLM_API_KEY",
    base_url_env="LITELLM_BASE_URL",
    self_hosted=True,
)
