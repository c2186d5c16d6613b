"""Fireworks AI (facts/wire.md section 8; docs.fireworks.ai for Responses and the Anthropic-compatible API)."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="fireworks",
    title="Fireworks AI",
    base_url="https://api.fireworks.ai/inference/v1",
    dialects=("openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"),
    api_key_env="FIREWORKS_API_KEY",
    base_url_env="FIREWORKS_BASE_URL",
    model_patterns=("accounts/*/*/*", "accounts/*/*/*#accounts/*/*/*"),
    sdk_path="/v1",
)
