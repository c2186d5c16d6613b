"""llama.cpp's server (facts/wire.md section 8; its tools/server/README.md)."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="llamacpp",
    title="llama.cpp",
    base_url="http://127.0.0.1:8080/v1",
    dialects=(
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "anthropic.messages",
        "rerank",
    ),
    api_key_env="LLAMACPP_API_KEY",
    base_url_env="LLAMACPP_BASE_URL",
    self_hosted=True,
)
