from headgate.providers.base import StreamUsage
from headgate.providers.perplexity import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    perplexity = deployed(PERPLEXITY_API_KEY="pplx-1")
    assert url(perplexity, "openai.chat", "/chat/completions") == "https://api.perplexity.ai/chat/completions"
    assert url(perplexity, "openai.embeddings", "/embeddings") == "https://api.perplexity.ai/v1/embeddings"
    assert url(perplexity, "openai.responses", "/responses") == "https://api.perplexity.ai/v1/responses"
    assert perplexity.auth_headers() == bearer("pplx-1")


def test_streams_carry_usage_unasked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.UNASKED


def test_its_names() -> None:
    assert PROVIDER.recognises("sonar")
    assert PROVIDER.recognises("sonar-deep-research")
    assert not PROVIDER.recognises("sonarqube")
    assert not PROVIDER.recognises("perplexity/sonar")
