"""LM Studio's local server (lmstudio.ai/docs, "OpenAI Compatibility Endpoints")."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="lmstudio",
    title="LM Studio",
    base_url="http://127.0.0.1:1234/v1",
    dialects=("openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"),
    api_key_env="LMSTUDIO_API_KEY",
    base_url_env="LMSTUDIO_BASE_URL",
    self_hosted=True,
)
