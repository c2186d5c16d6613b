import pytest

from headgate.providers.google import PROVIDER
from tests.providers import deployed, url

HOST = "https://generativelanguage.googleapis.com"


def test_requests() -> None:
    google = deployed(GEMINI_API_KEY="g-1")
    for path in ("/v1beta/models/gemini-3:generateContent", "/v1/models/gemini-3:generateContent"):
        assert url(google, "google.generate_content", path) == HOST + path
    assert url(google, "google.interactions", "/v1/interactions") == f"{HOST}/v1/interactions"
    assert url(google, "openai.chat", "/chat/completions") == f"{HOST}/v1beta/openai/chat/completions"
    assert url(google, "openai.embeddings", "/embeddings") == f"{HOST}/v1beta/openai/embeddings"
    assert google.auth_headers() == ((b"x-goog-api-key", b"g-1"),)


def test_both_names_of_the_key_and_an_address_of_the_operators() -> None:
    google = deployed(GOOGLE_API_KEY="g-2", GOOGLE_GEMINI_BASE_URL="http://proxy:81/google/")
    assert google.auth_headers() == ((b"x-goog-api-key", b"g-2"),)
    path = "/v1beta/models/gemini-3:generateContent"
    assert url(google, "google.generate_content", path) == f"http://proxy:81/google{path}"
    assert url(google, "openai.chat", "/chat/completions") == "http://proxy:81/google/v1beta/openai/chat/completions"
    first = deployed(GEMINI_API_KEY="g-1", GOOGLE_API_KEY="g-2")
    assert first.auth_headers() == ((b"x-goog-api-key", b"g-1"),)


@pytest.mark.parametrize(
    "model", ["gemini-2.5-pro", "models/gemini-2.5-pro", "gemini-embedding-001", "gemma-3-27b-it", "text-embedding-004"]
)
def test_its_names(model: str) -> None:
    assert PROVIDER.recognises(model)


@pytest.mark.parametrize("model", ["google/gemini-2.5-pro", "gemma2-9b-it", "text-embedding-3-small", "claude-3"])
def test_names_that_are_not_its_own(model: str) -> None:
    assert not PROVIDER.recognises(model)
