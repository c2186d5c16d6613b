from headgate.providers.base import StreamUsage
from headgate.providers.ollama import PROVIDER
from headgate.providers.registry import from_environment
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    ollama = deployed(OLLAMA_BASE_URL="http://gpu.example:11434")
    root = "http://gpu.example:11434/v1"
    assert url(ollama, "openai.chat", "/chat/completions") == f"{root}/chat/completions"
    assert url(ollama, "openai.completions", "/completions") == f"{root}/completions"
    assert url(ollama, "openai.embeddings", "/embeddings") == f"{root}/embeddings"
    assert url(ollama, "openai.responses", "/responses") == f"{root}/responses"
    assert url(ollama, "anthropic.messages", "/messages") == f"{root}/messages"


def test_a_key_is_optional_and_does_not_configure_it() -> None:
    assert deployed(OLLAMA_BASE_URL="http://gpu.example:11434").auth_headers() == ()
    assert deployed(OLLAMA_BASE_URL="http://gpu.example:11434", OLLAMA_API_KEY="k").auth_headers() == bearer("k")
    assert from_environment({"OLLAMA_API_KEY": "k"}) == []


def test_its_usual_address() -> None:
    assert PROVIDER.base_url == "http://127.0.0.1:11434/v1"


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST
