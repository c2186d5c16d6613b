"""Hugging Face's router to other inference services (facts/wire.md section 8).

What a stream carries is the way of the service behind it.
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="huggingface",
    title="Hugging Face",
    base_url="https://router.huggingface.co/v1",
    dialects=("openai.chat", "openai.responses"),
    api_key_env="HF_TOKEN",
    base_url_env="HF_BASE_URL",
    sdk_path="/v1",
)
