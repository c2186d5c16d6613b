from headgate.providers.base import StreamUsage
from headgate.providers.together import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    together = deployed(TOGETHER_API_KEY="t-1")
    assert url(together, "openai.chat", "/chat/completions") == "https://api.together.ai/v1/chat/completions"
    assert url(together, "openai.completions", "/completions") == "https://api.together.ai/v1/completions"
    assert url(together, "openai.embeddings", "/embeddings") == "https://api.together.ai/v1/embeddings"
    assert together.auth_headers() == bearer("t-1")


def test_streams_carry_usage_unasked() -> None:
    assert PROVIDER.stream_usage is StreamUsage.UNASKED


def test_its_names_are_in_the_catalogue_alone() -> None:
    assert not PROVIDER.recognises("meta-llama/Llama-3.3-70B-Instruct-Turbo")
