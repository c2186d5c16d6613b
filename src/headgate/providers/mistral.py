"""Mistral AI (facts/wire.md section 8).

Its streams carry usage unasked, and it answers 422 to a request that asks.
"""

from headgate.providers.base import Provider, StreamUsage

PROVIDER = Provider(
    name="mistral",
    title="Mistral AI",
    base_url="https://api.mistral.ai/v1",
    dialects=("openai.chat", "openai.embeddings", "openai.audio", "openai.files", "openai.batches"),
    api_key_env="MISTRAL_API_KEY",
    base_url_env="MISTRAL_BASE_URL",
    model_patterns=(
        "mistral-*",
        "ministral-*",
        "magistral-*",
        "codestral-*",
        "devstral-*",
        "pixtral-*",
        "voxtral-*",
        # Without "open-", Mixtral is what others call the open weights.
        "open-mistral-*",
        "open-mixtral-*",
        "labs-*stral-*",
        "ft:*stral-*",
    ),
    stream_usage=StreamUsage.UNASKED,
    sdk_path="/v1",
)
