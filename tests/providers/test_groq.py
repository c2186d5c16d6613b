from headgate.providers.base import StreamUsage
from headgate.providers.groq import PROVIDER
from tests.providers import bearer, deployed, url


def test_requests() -> None:
    groq = deployed(GROQ_API_KEY="gsk_1")
    assert url(groq, "openai.chat", "/chat/completions") == "https://api.groq.com/openai/v1/chat/completions"
    assert url(groq, "openai.embeddings", "/embeddings") == "https://api.groq.com/openai/v1/embeddings"
    assert url(groq, "openai.responses", "/responses") == "https://api.groq.com/openai/v1/responses"
    assert groq.auth_headers() == bearer("gsk_1")


def test_base_urls_leave_the_path_off_as_its_sdk_has_them() -> None:
    for base_url in ("https://proxy.example/groq", "https://proxy.example/groq/openai/v1"):
        groq = deployed(GROQ_API_KEY="k", GROQ_BASE_URL=base_url)
        assert url(groq, "openai.chat", "/chat/completions") == "https://proxy.example/groq/openai/v1/chat/completions"


def test_paths_of_its_own_sdk() -> None:
    groq = deployed(GROQ_API_KEY="k")
    assert url(groq, "openai.chat", "/openai/v1/chat/completions") == url(groq, "openai.chat", "/chat/completions")


def test_asking_for_usage_would_send_it_twice() -> None:
    assert PROVIDER.stream_usage is StreamUsage.UNASKED


def test_its_names() -> None:
    assert PROVIDER.recognises("groq/compound")
    assert PROVIDER.recognises("groq/compound-mini")
    assert not PROVIDER.recognises("groq/llama-3.3-70b-versatile")
    assert not PROVIDER.recognises("llama-3.3-70b-versatile")
