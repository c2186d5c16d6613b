"""Anthropic (facts/wire.md section 4).

Its OpenAI-compatible endpoint is left out: the company calls it a layer for testing
(platform.claude.com, "OpenAI SDK compatibility").

ANTHROPIC_AUTH_TOKEN is not read. It is how a client of a gateway, such as Claude Code, is told its token, so on many
machines it holds a key for the very gateway that would be reading it.
"""

from headgate.providers.base import Auth, Provider, StreamUsage

PROVIDER = Provider(
    name="anthropic",
    title="Anthropic",
    base_url="https://api.anthropic.com/v1",
    dialects=(
        "anthropic.messages",
        "anthropic.batches",
    ),
    auth=Auth.X_API_KEY,
    api_key_env="ANTHROPIC_API_KEY",
    base_url_env="ANTHROPIC_BASE_URL",
    model_patterns=("claude-*",),
    stream_usage=StreamUsage.UNASKED,
    sdk_path="/v1",
)
