from headgate.providers.anthropic import PROVIDER
from headgate.providers.registry import from_environment
from tests.providers import deployed, url


def test_requests() -> None:
    anthropic = deployed(ANTHROPIC_API_KEY="sk-ant-1")
    assert url(anthropic, "anthropic.messages", "/messages") == "https://api.anthropic.com/v1/messages"
    assert (
        url(anthropic, "anthropic.messages", "/messages/count_tokens")
        == "https://api.anthropic.com/v1/messages/count_tokens"
    )
    assert anthropic.auth_headers() == ((b"x-api-key", b"sk-ant-1"),)


def test_base_urls_leave_the_version_off_as_its_sdk_has_them() -> None:
    for base_url in ("https://proxy.example/anthropic", "https://proxy.example/anthropic/v1/"):
        anthropic = deployed(ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL=base_url)
        assert url(anthropic, "anthropic.messages", "/messages") == "https://proxy.example/anthropic/v1/messages"


def test_the_token_that_clients_of_gateways_carry_configures_nothing() -> None:
    assert from_environment({"ANTHROPIC_AUTH_TOKEN": "t", "ANTHROPIC_BASE_URL": "http://127.0.0.1:8080"}) == []


def test_its_names() -> None:
    assert PROVIDER.recognises("claude-sonnet-4-5-20250929")
    assert PROVIDER.recognises("claude-3-haiku-20240307")
    assert not PROVIDER.recognises("anthropic/claude-opus-4.5")
    assert not PROVIDER.recognises("anthropic.claude-opus-4-1-20250805-v1:0")
