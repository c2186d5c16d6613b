import pytest

from headgate.providers.base import StreamUsage
from headgate.providers.openai import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    openai = deployed(OPENAI_API_KEY="sk-1")
    assert url(openai, "openai.chat", "/chat/completions") == "https://api.openai.com/v1/chat/completions"
    assert url(openai, "openai.completions", "/completions") == "https://api.openai.com/v1/completions"
    assert url(openai, "openai.embeddings", "/embeddings") == "https://api.openai.com/v1/embeddings"
    assert url(openai, "openai.responses", "/responses/resp_1") == "https://api.openai.com/v1/responses/resp_1"
    assert openai.auth_headers() == bearer("sk-1")


def test_base_urls_end_in_the_version_as_its_sdk_has_them() -> None:
    openai = deployed(OPENAI_API_KEY="sk-1", OPENAI_BASE_URL="https://gateway.example/acme/openai")
    assert url(openai, "openai.chat", "/chat/completions") == "https://gateway.example/acme/openai/chat/completions"


def test_streams_carry_usage_when_asked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.ON_REQUEST


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "gpt-4.1-2025-04-14",
        "gpt-3.5-turbo-instruct",
        "gpt-6.1-sol",
        "gpt-audio-mini",
        "chatgpt-4o-latest",
        "codex-mini-latest",
        "computer-use-preview",
        "o1",
        "o3-mini-2025-01-31",
        "o4-mini",
        "text-embedding-3-small",
        "text-embedding-ada-002",
        "ft:gpt-4o-mini-2024-07-18:acme::9a8b7c",
        "GPT-4o",
    ],
)
def test_its_names(model: str) -> None:
    assert PROVIDER.recognises(model)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-oss-120b",
        "openai/gpt-4o",
        "ft:open-mistral-7b:acme",
        "text-embedding-004",
        "o1x",
        "omni",
        "claude-opus-5",
        "whisper-large-v3",
    ],
)
def test_names_of_others(model: str) -> None:
    assert not PROVIDER.recognises(model)
