"""SGLang's server (docs.sglang.ai, "OpenAI APIs")."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="sglang",
    title="SGLang",
    base_url="http://127.0.0.1:30000/v1",
    dialects=(
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "anthropic.messages",
        "rerank",
    ),
    api_key_env="SGLANG_API_KEY",
    base_url_env="SGLANG_BASE_URL",
    self_hosted=True,
)
