from headgate.providers.moonshot import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    moonshot = deployed(MOONSHOT_API_KEY="k-1")
    assert url(moonshot, "openai.chat", "/chat/completions") == "https://api.moonshot.ai/v1/chat/completions"
    assert moonshot.auth_headers() == bearer("k-1")


def test_its_names() -> None:
    assert PROVIDER.recognises("kimi-k2-thinking")
    assert not PROVIDER.recognises("moonshotai/kimi-k2")
