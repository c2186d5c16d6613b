from headgate.providers.base import StreamUsage
from headgate.providers.xai import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    xai = deployed(XAI_API_KEY="xai-1")
    assert url(xai, "openai.chat", "/chat/completions") == "https://api.x.ai/v1/chat/completions"
    assert url(xai, "openai.completions", "/completions") == "https://api.x.ai/v1/completions"
    assert url(xai, "openai.responses", "/responses") == "https://api.x.ai/v1/responses"
    assert xai.auth_headers() == bearer("xai-1")


def test_its_deprecated_imitation_of_anthropic_is_not_offered() -> None:
    assert not deployed(XAI_API_KEY="k").speaks("anthropic.messages")


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST


def test_its_names() -> None:
    assert PROVIDER.recognises("grok-4-fast-non-reasoning")
    assert not PROVIDER.recognises("x-ai/grok-4")
    assert not PROVIDER.recognises("groq/compound")
