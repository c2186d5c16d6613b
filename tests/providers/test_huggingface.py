from tests.providers import bearer, deployed, url


def test_requests() -> None:
    huggingface = deployed(HF_TOKEN="k-1")
    assert url(huggingface, "openai.chat", "/chat/completions") == "https://router.huggingface.co/v1/chat/completions"
    assert huggingface.auth_headers() == bearer("k-1")


def test_its_models_are_named_after_their_makers() -> None:
    """So no name is its own."""
    assert not deployed(HF_TOKEN="k-1").provider.model_patterns
