from headgate.providers.lmstudio import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    lmstudio = deployed(LMSTUDIO_BASE_URL="http://10.0.0.7:1234", LMSTUDIO_API_KEY="k-1")
    assert url(lmstudio, "openai.chat", "/chat/completions") == "http://10.0.0.7:1234/v1/chat/completions"
    assert url(lmstudio, "anthropic.messages", "/messages") == "http://10.0.0.7:1234/v1/messages"
    assert lmstudio.auth_headers() == bearer("k-1")


def test_a_base_url_alone_will_do() -> None:
    assert deployed(LMSTUDIO_BASE_URL=PROVIDER.base_url).auth_headers() == ()
    assert PROVIDER.self_hosted
