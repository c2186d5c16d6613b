from headgate.providers.llamacpp import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    llamacpp = deployed(LLAMACPP_BASE_URL="http://10.0.0.7:8080", LLAMACPP_API_KEY="k-1")
    assert url(llamacpp, "openai.chat", "/chat/completions") == "http://10.0.0.7:8080/v1/chat/completions"
    assert url(llamacpp, "anthropic.messages", "/messages") == "http://10.0.0.7:8080/v1/messages"
    assert llamacpp.auth_headers() == bearer("k-1")


def test_a_base_url_alone_will_do() -> None:
    assert deployed(LLAMACPP_BASE_URL=PROVIDER.base_url).auth_headers() == ()
    assert PROVIDER.self_hosted
