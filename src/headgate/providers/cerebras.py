"""Cerebras (facts/wire.md section 8; the endpoints of its SDK 1.91.0)."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="cerebras",
    title="Cerebras",
    base_url="https://api.cerebras.ai/v1",
    dialects=("openai.chat", "openai.completions"),
    api_key_env="CEREBRAS_API_KEY",
    base_url_env="CEREBRAS_BASE_URL",
    sdk_path="/v1",
)
