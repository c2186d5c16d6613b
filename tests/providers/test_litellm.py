from headgate.providers.litellm import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    litellm = deployed(LITELLM_BASE_URL="http://10.0.0.7:4000", LITELLM_API_KEY="k-1")
    assert url(litellm, "openai.chat", "/chat/completions") == "http://10.0.0.7:4000/v1/chat/completions"
    assert url(litellm, "anthropic.messages", "/messages") == "http://10.0.0.7:4000/v1/messages"
    assert litellm.auth_headers() == bearer("k-1")


def test_a_base_url_alone_will_do() -> None:
    assert deployed(LITELLM_BASE_URL=PROVIDER.base_url).auth_headers() == ()
    assert PROVIDER.self_hosted
