"""Together AI (facts/wire.md section 8; the endpoints of its SDK 3.1.1).

Its streams carry usage unasked, as recordings of requests without `stream_options` show.
"""

from headgate.providers.base import Provider, StreamUsage

PROVIDER = Provider(
    name="together",
    title="Together AI",
    base_url="https://api.together.ai/v1",
    dialects=("openai.chat", "openai.completions", "openai.embeddings", "rerank", "openai.audio", "openai.images"),
    api_key_env="TOGETHER_API_KEY",
    base_url_env="TOGETHER_BASE_URL",
    stream_usage=StreamUsage.UNASKED,
    sdk_path="/v1",
)
