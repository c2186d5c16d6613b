"""The first lines of `headgate serve`."""

import pytest

from headgate.cli.greeting import examples, greeting
from headgate.config import Settings, load


def settings(env: dict[str, str], **more: str) -> Settings:
    return load(None, {"XDG_DATA_HOME": "/data", **env}, **more)


def test_the_greeting_says_what_is_served_and_where() -> None:
    text = greeting(settings({"OPENAI_API_KEY": "sk-secret", "ANTHROPIC_API_KEY": "sk-secret"}))
    assert "http://127.0.0.1:8080" in text
    assert "https://api.openai.com/v1" in text
    assert "no gateway keys" in text
    assert text.count("  curl ") == 3
    assert "sk-secret" not in text


def test_the_greeting_says_where_the_dashboard_is_and_how_to_get_in() -> None:
    text = greeting(settings({}))
    assert "dashboard at http://127.0.0.1:8080/dashboard, once there is an admin key: HEADGATE_ADMIN_KEY" in text
    text = greeting(settings({"HEADGATE_ADMIN_KEY": "an admin key, long enough"}))
    assert "dashboard at http://127.0.0.1:8080/dashboard, admin API at http://127.0.0.1:8080/admin/v1" in text
    assert "long enough" not in text


def test_the_greeting_without_providers_says_what_to_do() -> None:
    text = greeting(settings({}))
    assert "OPENAI_API_KEY" in text
    assert "headgate demo" in text


@pytest.mark.parametrize(
    ("env", "path"),
    [({"ANTHROPIC_API_KEY": "k"}, "/v1/messages"), ({"GROQ_API_KEY": "k"}, "/v1/chat/completions")],
)
def test_the_examples_speak_a_dialect_that_the_provider_has(env: dict[str, str], path: str) -> None:
    assert path in "\n".join(examples(settings(env), "http://x"))
