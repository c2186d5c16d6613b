import json
from typing import Any

import pytest

from headgate.dialects.base import Ask
from headgate.dialects.openai_completions import DIALECT
from headgate.testing.corpus import Case
from headgate.usage import Basis
from tests.dialects import expected
from tests.dialects.playbook import data, read, replay, single_bytes

CASES = expected.cases("openai.completions")


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.usage == expected.usage(case)
    assert (reading.basis, reading.served_model) == (Basis.REPORTED, case.model)
    assert replay(case, single_bytes(case.body)) == reading


def test_generated_text_is_counted_in_bytes() -> None:
    stream = data({"choices": [{"index": 0, "text": "né"}]}, {"choices": [{"index": 0, "text": "!"}]}, b"[DONE]")
    assert read("openai.completions", [stream]).delivered_bytes == 4


@pytest.mark.parametrize(
    ("body", "cap", "choices"),
    [
        ({"prompt": "a"}, None, 1),
        ({"prompt": "a", "max_tokens": 5, "n": 2, "best_of": 3}, 5, 3),
        ({"prompt": ["a", "b"], "n": 2}, None, 4),
        ({"prompt": [[1, 2], [3]]}, None, 2),
        ({"prompt": [1, 2, 3]}, None, 1),
        ({"prompt": [], "n": "x"}, None, 1),
    ],
)
def test_every_prompt_is_answered_n_times(body: dict[str, Any], cap: int | None, choices: int) -> None:
    text = json.dumps({"model": "m", **body}).encode()
    several = len(body["prompt"]) if body["prompt"] and isinstance(body["prompt"][0], str | list) else 1
    several = 1 if isinstance(body["prompt"], str) else several
    assert DIALECT.read_ask(text, ()) == Ask(
        model="m", output_cap=cap, choices=choices, input_bytes=len(text), prompts=several
    )


def test_the_usage_frame_is_asked_for_and_taken_out() -> None:
    body = b'{"model":"m","prompt":"p","stream":true}'
    asking = DIALECT.with_usage_frame(body, DIALECT.read_ask(body, ()))
    assert asking is not None
    assert json.loads(asking) == json.loads(body) | {"stream_options": {"include_usage": True}}
    text, usage = data({"choices": [{"index": 0, "text": "a"}]}), data({"choices": [], "usage": {"total_tokens": 1}})
    assert DIALECT.usage_frame_filter().feed(text + usage) == text
