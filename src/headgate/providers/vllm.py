"""vLLM's server (facts/wire.md section 8; docs.vllm.ai, "Online Serving")."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="vllm",
    title="vLLM",
    base_url="http://127.0.0.1:8000/v1",
    dialects=(
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "anthropic.messages",
        "rerank",
        "openai.audio",
    ),
    api_key_env="VLLM_API_KEY",
    base_url_env="VLLM_BASE_URL",
    self_hosted=True,
)
