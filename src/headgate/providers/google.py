"""Google AI Studio: the Gemini API (facts/wire.md section 5; the addresses and variables of google-genai 3.4.0).

Its OpenAI-compatible endpoint takes x-goog-api-key as well, and refuses a request with a bearer token beside it
(github.com/NousResearch/hermes-agent pull request 8530), so that one way to send the key serves all dialects.
"""

from headgate.providers.base import Auth, Provider

PROVIDER = Provider(
    name="google",
    title="Google AI Studio",
    base_url="https://generativelanguage.googleapis.com",
    dialects=("google.generate_content", "google.interactions", "openai.chat", "openai.embeddings"),
    auth=Auth.X_GOOG_API_KEY,
    api_key_env="GEMINI_API_KEY",
    other_key_env="GOOGLE_API_KEY",
    base_url_env="GOOGLE_GEMINI_BASE_URL",
    model_patterns=(
        "gemini-*",
        "models/gemini-*",
        # Older Gemma is what others serve under such names, too.
        "gemma-[3-9]*",
        "learnlm-*",
        "text-embedding-00[0-9]",
        "imagen-*",
        "veo-*",
        "deep-research-*",
    ),
    roots={"openai.chat": "/v1beta/openai", "openai.embeddings": "/v1beta/openai"},
)
