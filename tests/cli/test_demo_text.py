"""The words of the packaged recordings, and of events that are shaped otherwise."""

import json
from typing import Any

import pytest

from headgate.cli.demo_text import Kind, Listener, Words, words_of
from headgate.testing.replay import recordings

BY_NAME = {recording.name: recording for recording in recordings()}


@pytest.mark.parametrize(
    ("name", "thought", "said"),
    [
        ("openai-chat.sse", "", "Greetings, sunbeams dancing on the morning dew!"),
        ("deepseek-chat.sse", "Hmm, the user just said", "Hello there! 😊 How can I help you today?"),
        ("openrouter-chat.sse", "", "I'm Grok, an AI built by xAI."),
        ("mistral-chat.sse", "Okay, the user is asking how to cross the street.", "To cross the street safely"),
        ("openai-responses.sse", "**Calculating a large integer**", "123456^123 equals:\n1803021063040448"),
        ("anthropic-messages.sse", "This is a straightforward question", "Here are the basic steps"),
        ("openai-embeddings.json", "", "1 vector"),
    ],
)
def test_the_words_of_a_recording(name: str, thought: str, said: str) -> None:
    recording = BY_NAME[name]
    listener = Listener(stream=recording.stream)
    words = [words for piece in recording.pieces() for words in listener.hear(piece)] + listener.end()
    for kind, expected in ((Kind.THOUGHT, thought), (Kind.SAID, said)):
        text = "".join(words.text for words in words if words.kind is kind)
        assert text.startswith(expected)
        assert bool(text) is bool(expected)


def test_code_is_told_from_words() -> None:
    listener = Listener(stream=True)
    heard = [words for piece in BY_NAME["openai-responses.sse"].pieces() for words in listener.hear(piece)]
    assert "".join(words.text for words in heard if words.kind is Kind.CODE).startswith("n = pow(123456, 123)")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"choices": []}, []),
        ({"choices": [{"delta": None}]}, [""]),
        ({"choices": [{"delta": {"content": None, "reasoning": "hm"}}]}, ["hm", ""]),
        ({"type": "ping"}, []),
        ({"type": "content_block_delta", "delta": {"type": "input_json_delta"}}, ["", ""]),
    ],
)
def test_events_without_words(event: dict[str, Any], words: list[str]) -> None:
    found = [piece.text for piece in words_of(json.dumps(event).encode())]
    assert [text for text in found if text] == [text for text in words if text]


def test_the_end_mark_says_nothing() -> None:
    assert list(words_of(b"[DONE]")) == []


def test_words_are_said_unless_told_otherwise() -> None:
    assert Words("x").kind is Kind.SAID
