from headgate.providers.sglang import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    sglang = deployed(SGLANG_BASE_URL="http://10.0.0.7:30000", SGLANG_API_KEY="k-1")
    assert url(sglang, "openai.chat", "/chat/completions") == "http://10.0.0.7:30000/v1/chat/completions"
    assert url(sglang, "anthropic.messages", "/messages") == "http://10.0.0.7:30000/v1/messages"
    assert sglang.auth_headers() == bearer("k-1")


def test_a_base_url_alone_will_do() -> None:
    assert deployed(SGLANG_BASE_URL=PROVIDER.base_url).auth_headers() == ()
    assert PROVIDER.self_hosted
