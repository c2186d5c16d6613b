import json

from headgate.dialects.base import Answer, Ask
from headgate.dialects.openai_images import DIALECT
from headgate.usage import Usage
from tests.dialects.playbook import asked, data
from tests.dialects.test_multipart import TYPE, form


def test_a_stream_of_pictures_reports_at_its_end() -> None:
    partial = {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0}
    usage = {"input_tokens": 9, "output_tokens": 272, "input_tokens_details": {"image_tokens": 0, "text_tokens": 9}}
    meter = DIALECT.meter(Answer(200, "text/event-stream"))
    meter.feed(data(partial, {"type": "image_generation.completed", "b64_json": "AAAA", "usage": usage}))
    reading = meter.finish(ended=True)
    assert reading.usage == Usage(input_tokens=9, input_image_tokens=0, output_tokens=272)
    assert reading.terminal_evidence == "image_generation.completed"


def test_what_an_ask_takes_from_a_request() -> None:
    body = json.dumps({"model": "gpt-image-1", "prompt": "a cat", "stream": True}).encode()
    assert DIALECT.read_ask(body, ()) == Ask(
        model="gpt-image-1", stream=True, input_bytes=len(body), unbounded="images"
    )
    edit = form(('name="image"; filename="a.png"', b"\x89PNG"), ('name="model"', b"gpt-image-1"))
    assert DIALECT.read_ask(edit, [TYPE]).model == "gpt-image-1"


def test_a_forms_pictures_are_attachments_and_no_text() -> None:
    picture = ('name="image[]"; filename="a.png"', b"\x89PNG" * 1000)
    ask = DIALECT.read_ask(form(picture, picture, ('name="n"', b"3"), ('name="prompt"', b"blue")), [TYPE])
    assert (ask.attachments, ask.attachment_tokens, ask.choices, ask.unbounded) == (2, 50_000, 3, "images")
    assert ask.prompt_bytes == ask.input_bytes - 2 * 4000
    edit = {"images": [{"image_url": "https://x/a.png"}], "n": 2}
    assert asked("openai.images", edit) == {
        "choices": 2, "attachments": 1, "attachment_tokens": 50_000, "unbounded": "images"
    }  # fmt: skip
