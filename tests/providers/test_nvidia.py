from tests.providers import bearer, deployed, url


def test_requests() -> None:
    nvidia = deployed(NVIDIA_API_KEY="k-1")
    assert url(nvidia, "openai.chat", "/chat/completions") == "https://integrate.api.nvidia.com/v1/chat/completions"
    assert nvidia.auth_headers() == bearer("k-1")


def test_its_models_are_named_after_their_makers() -> None:
    """So no name is its own."""
    assert not deployed(NVIDIA_API_KEY="k-1").provider.model_patterns
