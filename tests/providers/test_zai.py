from headgate.providers.zai import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    zai = deployed(ZAI_API_KEY="k-1")
    assert url(zai, "openai.chat", "/chat/completions") == "https://api.z.ai/api/paas/v4/chat/completions"
    assert zai.auth_headers() == bearer("k-1")


def test_its_names() -> None:
    assert PROVIDER.recognises("glm-4.6")
    assert not PROVIDER.recognises("zai-org/glm-4.6")
