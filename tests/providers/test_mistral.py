from headgate.providers.base import StreamUsage
from headgate.providers.mistral import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    mistral = deployed(MISTRAL_API_KEY="m-1")
    assert url(mistral, "openai.chat", "/chat/completions") == "https://api.mistral.ai/v1/chat/completions"
    assert url(mistral, "openai.embeddings", "/embeddings") == "https://api.mistral.ai/v1/embeddings"
    assert mistral.auth_headers() == bearer("m-1")


def test_it_refuses_to_be_asked_for_usage() -> None:
    assert PROVIDER.stream_usage is StreamUsage.UNASKED


def test_its_names() -> None:
    for model in ("mistral-large-latest", "ministral-8b-latest", "magistral-medium-2507", "pixtral-12b-latest"):
        assert PROVIDER.recognises(model)
    for model in ("codestral-latest", "open-mistral-nemo", "open-mixtral-8x22b", "ft:open-mistral-7b:acme:2024:1"):
        assert PROVIDER.recognises(model)
    for model in ("mixtral-8x7b-32768", "mistralai/mistral-nemo", "mistralai/Mixtral-8x7B-Instruct-v0.1"):
        assert not PROVIDER.recognises(model)
