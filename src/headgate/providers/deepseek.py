"""DeepSeek (facts/wire.md section 8; api-docs.deepseek.com for the roots of the dialects).

Completions is its fill-in-the-middle API, still in beta.
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="deepseek",
    title="DeepSeek",
    base_url="https://api.deepseek.com",
    dialects=("openai.chat", "openai.completions", "openai.responses", "anthropic.messages"),
    api_key_env="DEEPSEEK_API_KEY",
    base_url_env="DEEPSEEK_BASE_URL",
    model_patterns=("deepseek-chat*", "deepseek-reasoner*", "deepseek-flash*", "deepseek-pro*", "deepseek-v[0-9]*"),
    roots={"openai.completions": "/beta", "anthropic.messages": "/anthropic/v1"},
)
