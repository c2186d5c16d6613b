"""NVIDIA's hosted NIM endpoints (docs.api.nvidia.com, "LLM APIs")."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="nvidia",
    title="NVIDIA",
    base_url="https://integrate.api.nvidia.com/v1",
    dialects=("openai.chat", "openai.completions", "openai.embeddings"),
    api_key_env="NVIDIA_API_KEY",
    base_url_env="NVIDIA_BASE_URL",
    sdk_path="/v1",
)
