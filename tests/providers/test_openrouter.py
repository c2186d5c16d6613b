from headgate.providers.base import StreamUsage
from headgate.providers.openrouter import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    openrouter = deployed(OPENROUTER_API_KEY="sk-or-1")
    assert url(openrouter, "openai.chat", "/chat/completions") == "https://openrouter.ai/api/v1/chat/completions"
    assert url(openrouter, "openai.completions", "/completions") == "https://openrouter.ai/api/v1/completions"
    assert url(openrouter, "openai.embeddings", "/embeddings") == "https://openrouter.ai/api/v1/embeddings"
    assert url(openrouter, "openai.responses", "/responses") == "https://openrouter.ai/api/v1/responses"
    assert url(openrouter, "anthropic.messages", "/messages") == "https://openrouter.ai/api/v1/messages"
    assert openrouter.auth_headers() == bearer("sk-or-1")


def test_streams_carry_usage_unasked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.UNASKED


def test_its_names() -> None:
    assert PROVIDER.recognises("openrouter/auto")
    assert PROVIDER.recognises("~anthropic/claude-opus-latest")
    assert not PROVIDER.recognises("openrouter/anthropic/claude-3.5-sonnet")
    assert not PROVIDER.recognises("anthropic/claude-3.5-sonnet")
