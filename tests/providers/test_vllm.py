from headgate.providers.base import StreamUsage
from headgate.providers.registry import from_environment
from headgate.providers.vllm import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    vllm = deployed(VLLM_BASE_URL="http://gpu.example:8000")
    root = "http://gpu.example:8000/v1"
    assert url(vllm, "openai.chat", "/chat/completions") == f"{root}/chat/completions"
    assert url(vllm, "openai.completions", "/completions") == f"{root}/completions"
    assert url(vllm, "openai.embeddings", "/embeddings") == f"{root}/embeddings"
    assert url(vllm, "openai.responses", "/responses") == f"{root}/responses"
    assert url(vllm, "anthropic.messages", "/messages") == f"{root}/messages"


def test_a_key_is_optional_and_does_not_configure_it() -> None:
    assert deployed(VLLM_BASE_URL="http://gpu.example:8000").auth_headers() == ()
    assert deployed(VLLM_BASE_URL="http://gpu.example:8000", VLLM_API_KEY="k").auth_headers() == bearer("k")
    assert from_environment({"VLLM_API_KEY": "k"}) == []


def test_its_usual_address() -> None:
    assert PROVIDER.base_url == "http://127.0.0.1:8000/v1"


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST
