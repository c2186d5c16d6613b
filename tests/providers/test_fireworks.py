from headgate.providers.base import StreamUsage
from headgate.providers.fireworks import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    fireworks = deployed(FIREWORKS_API_KEY="fw-1")
    root = "https://api.fireworks.ai/inference/v1"
    assert url(fireworks, "openai.chat", "/chat/completions") == f"{root}/chat/completions"
    assert url(fireworks, "openai.completions", "/completions") == f"{root}/completions"
    assert url(fireworks, "openai.embeddings", "/embeddings") == f"{root}/embeddings"
    assert url(fireworks, "openai.responses", "/responses") == f"{root}/responses"
    assert url(fireworks, "anthropic.messages", "/messages") == f"{root}/messages"
    assert fireworks.auth_headers() == bearer("fw-1")


def test_base_urls_leave_the_version_off_as_its_sdk_has_them() -> None:
    fireworks = deployed(FIREWORKS_API_KEY="k", FIREWORKS_BASE_URL="https://us.api.fireworks.ai/inference")
    assert (
        url(fireworks, "openai.chat", "/chat/completions")
        == "https://us.api.fireworks.ai/inference/v1/chat/completions"
    )


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST


def test_its_names() -> None:
    assert PROVIDER.recognises("accounts/fireworks/models/kimi-k3")
    assert PROVIDER.recognises("accounts/fireworks/models/kimi-k3#accounts/acme/deployments/1a2b")
    assert not PROVIDER.recognises("accounts/acme")
    assert not PROVIDER.recognises("kimi-k3")
