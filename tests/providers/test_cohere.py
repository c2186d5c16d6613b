from headgate.providers.cohere import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    cohere = deployed(COHERE_API_KEY="c-1")
    assert url(cohere, "cohere", "/v2/chat") == "https://api.cohere.com/v2/chat"
    assert url(cohere, "cohere", "/v1/embed") == "https://api.cohere.com/v1/embed"
    assert url(cohere, "rerank", "/rerank") == "https://api.cohere.com/v1/rerank"
    assert url(cohere, "openai.chat", "/chat/completions") == "https://api.cohere.com/compatibility/v1/chat/completions"
    assert cohere.auth_headers() == bearer("c-1")


def test_its_names() -> None:
    for model in ("command-a-03-2025", "command-r7b-12-2024", "c4ai-aya-vision-32b", "embed-v4.0", "rerank-v3.5"):
        assert PROVIDER.recognises(model)
    for model in ("embed-english-v3.0", "embed-multilingual-light-v3.0", "rerank-english-v3.0"):
        assert PROVIDER.recognises(model)
    for model in ("embeddinggemma", "reranker-base", "commander", "cohere/command-r"):
        assert not PROVIDER.recognises(model)
