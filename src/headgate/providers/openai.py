"""OpenAI. The reference of the four dialects that carry its name (facts/wire.md sections 1 and 2)."""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="openai",
    title="OpenAI",
    base_url="https://api.openai.com/v1",
    dialects=(
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "openai.audio",
        "openai.images",
        "openai.files",
        "openai.batches",
        "openai.realtime",
    ),
    sockets=("openai.responses", "openai.realtime"),
    api_key_env="OPENAI_API_KEY",
    base_url_env="OPENAI_BASE_URL",
    model_patterns=(
        # gpt-oss-* are open weights that others serve and OpenAI does not.
        "gpt-[0-9]*",
        "gpt-[a-np-z]*",
        "chatgpt-*",
        "o[0-9]",
        "o[0-9]-*",
        "codex-*",
        "computer-use-*",
        "dall-e-*",
        "whisper-1",
        "tts-1*",
        "omni-moderation-*",
        "text-moderation-*",
        "davinci-002",
        "babbage-002",
        "text-embedding-3-*",
        "text-embedding-ada-*",
        "ft:gpt-*",
        "ft:o[0-9]-*",
        "ft:davinci-002:*",
        "ft:babbage-002:*",
    ),
)
