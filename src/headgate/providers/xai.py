"""xAI (facts/wire.md section 8).

Its chat streams carry usage only when asked: a recorded stream without `stream_options` has none. Its imitation of
Anthropic's API is left out because xAI declares it fully deprecated (docs.x.ai, "Legacy & Deprecated").
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",
    dialects=("openai.chat", "openai.completions", "openai.responses"),
    sockets=("openai.responses",),
    api_key_env="XAI_API_KEY",
    base_url_env="XAI_BASE_URL",
    model_patterns=("grok-*",),
)
