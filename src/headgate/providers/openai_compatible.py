"""Any other server that imitates these APIs: a company or a program without a file here.

All dialects are declared, because nothing is known of the server: its own 404 tells best what it lacks.
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="openai_compatible",
    title="OpenAI-compatible server",
    base_url="",
    dialects=(
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "anthropic.messages",
        "rerank",
        "openai.audio",
        "openai.images",
        "openai.files",
        "openai.batches",
    ),
    self_hosted=True,
)
