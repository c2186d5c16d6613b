from headgate.providers.base import StreamUsage
from headgate.providers.cerebras import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    cerebras = deployed(CEREBRAS_API_KEY="csk-1")
    assert url(cerebras, "openai.chat", "/chat/completions") == "https://api.cerebras.ai/v1/chat/completions"
    assert url(cerebras, "openai.completions", "/completions") == "https://api.cerebras.ai/v1/completions"
    assert cerebras.auth_headers() == bearer("csk-1")


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST


def test_its_names_are_in_the_catalogue_alone() -> None:
    assert not PROVIDER.recognises("gpt-oss-120b")
