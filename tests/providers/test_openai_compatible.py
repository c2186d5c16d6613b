from headgate.providers.base import StreamUsage
from headgate.providers.openai_compatible import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    server = deployed(ACME_BASE_URL="https://llm.acme.example/api/paas/v4")
    root = "https://llm.acme.example/api/paas/v4"
    assert url(server, "openai.chat", "/chat/completions") == f"{root}/chat/completions"
    assert url(server, "openai.completions", "/completions") == f"{root}/completions"
    assert url(server, "openai.embeddings", "/embeddings") == f"{root}/embeddings"
    assert url(server, "openai.responses", "/responses") == f"{root}/responses"
    assert url(server, "anthropic.messages", "/messages") == f"{root}/messages"


def test_a_key_is_optional() -> None:
    assert deployed(ACME_BASE_URL="http://llm.acme.example").auth_headers() == ()
    assert deployed(ACME_BASE_URL="http://llm.acme.example", ACME_API_KEY="k").auth_headers() == bearer("k")


def test_it_has_no_address_of_its_own() -> None:
    assert PROVIDER.base_url == ""
    assert PROVIDER.root("http://llm.acme.example") == "http://llm.acme.example/v1"


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST
