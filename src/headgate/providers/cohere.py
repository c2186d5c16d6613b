"""Cohere (facts/wire.md section 8; the endpoints of its SDK 7.3.1).

Its own API hangs at the server's root, with the version in each path; its imitation of OpenAI's below /compatibility,
where usage comes when it is asked for (docs.cohere.com, "Using Cohere models via the OpenAI SDK").
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="cohere",
    title="Cohere",
    base_url="https://api.cohere.com/v1",
    dialects=("cohere", "rerank", "openai.chat", "openai.embeddings"),
    api_key_env="COHERE_API_KEY",
    base_url_env="COHERE_BASE_URL",
    model_patterns=(
        "command",
        "command-*",
        "c4ai-aya-*",
        "embed-english-*",
        "embed-multilingual-*",
        "embed-v[0-9]*",
        "rerank-english-*",
        "rerank-multilingual-*",
        "rerank-v[0-9]*",
    ),
    roots={"cohere": "", "openai.chat": "/compatibility/v1", "openai.embeddings": "/compatibility/v1"},
    sdk_path="/v1",
)
