from headgate.providers.base import StreamUsage
from headgate.providers.deepseek import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    deepseek = deployed(DEEPSEEK_API_KEY="sk-1")
    assert url(deepseek, "openai.chat", "/chat/completions") == "https://api.deepseek.com/chat/completions"
    assert url(deepseek, "openai.completions", "/completions") == "https://api.deepseek.com/beta/completions"
    assert url(deepseek, "openai.responses", "/responses") == "https://api.deepseek.com/responses"
    assert url(deepseek, "anthropic.messages", "/messages") == "https://api.deepseek.com/anthropic/v1/messages"
    assert deepseek.auth_headers() == bearer("sk-1")


def test_dialects_hang_beside_a_version_that_the_operator_wrote() -> None:
    deepseek = deployed(DEEPSEEK_API_KEY="k", DEEPSEEK_BASE_URL="https://proxy.example/ds/v1")
    assert url(deepseek, "openai.chat", "/chat/completions") == "https://proxy.example/ds/v1/chat/completions"
    assert url(deepseek, "anthropic.messages", "/messages") == "https://proxy.example/ds/anthropic/v1/messages"


def test_paths_of_the_anthropic_sdk_pointed_at_it() -> None:
    deepseek = deployed(DEEPSEEK_API_KEY="k")
    assert deepseek.target("/anthropic/v1/messages", b"", "anthropic.messages") == b"/anthropic/v1/messages"


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST


def test_its_names() -> None:
    assert PROVIDER.recognises("deepseek-chat")
    assert PROVIDER.recognises("deepseek-reasoner")
    assert PROVIDER.recognises("deepseek-v4-flash")
    assert not PROVIDER.recognises("deepseek-ai/DeepSeek-V4.1-Flash")
    assert not PROVIDER.recognises("deepseek/deepseek-chat")
    assert not PROVIDER.recognises("deepseek-r1-distill-llama-70b")
