"""Moonshot AI, the Kimi models (platform.moonshot.ai, "API reference")."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="moonshot",
    title="Moonshot AI",
    base_url="https://api.moonshot.ai/v1",
    dialects=("openai.chat",),
    api_key_env="MOONSHOT_API_KEY",
    base_url_env="MOONSHOT_BASE_URL",
    model_patterns=("kimi-*", "moonshot-v1-*"),
    sdk_path="/v1",
)
