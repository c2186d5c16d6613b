"""Ollama: its own API at the server's root, and its imitations of OpenAI's and Anthropic's (facts/wire.md section 8).

A key is for its cloud, which takes it as a bearer token in every dialect.
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="ollama",
    title="Ollama",
    base_url="http://127.0.0.1:11434/v1",
    dialects=(
        "ollama",
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "anthropic.messages",
    ),
    roots={"ollama": ""},
    api_key_env="OLLAMA_API_KEY",
    base_url_env="OLLAMA_BASE_URL",
    self_hosted=True,
)
