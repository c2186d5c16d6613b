import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.base import Ask
from headgate.dialects.multipart import MAX_PARTS, is_form, read_form, refuse_edit
from headgate.errors import BadRequest

TYPE = (b"content-type", b"multipart/form-data; boundary=b1")


def form(*parts: tuple[str, bytes], boundary: bytes = b"b1") -> bytes:
    """Parts by what follows `form-data;`, as a client writes them."""
    body = b"".join(
        b"--" + boundary + b"\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--" + boundary + b"--\r\n"


SOUND = ('name="file"; filename="a.wav"\r\nContent-Type: audio/wav', b"RIFF\r\n--b\r\n\r\nname=model\x00" * 1000)


@pytest.mark.parametrize(
    ("parts", "model", "stream"),
    [
        ([SOUND, ('name="model"', b"whisper-1")], "whisper-1", False),
        ([("name=model", b"whisper-1"), ('name="stream"', b"true"), SOUND], "whisper-1", True),
        ([('filename="model"; name="file"', b"x"), ('name="stream"', b"false")], None, False),
        ([SOUND], None, False),
        ([('name="model"', b"x" * 2000)], None, False),
        ([], None, False),
    ],
)
def test_the_fields_that_are_wanted(parts: list[tuple[str, bytes]], model: str | None, stream: bool) -> None:
    body = form(*parts)
    sizes = [len(content) for head, content in parts if "filename" in head]
    assert read_form(body, [TYPE]) == Ask(
        model=model,
        stream=stream,
        input_bytes=len(body),
        prompt_bytes=len(body) - sum(sizes),
        attachments=len(sizes),
    )


@pytest.mark.parametrize(("told", "choices"), [(b"3", 3), (b"0", 1), (b"-1", 1), (b"many", 1), (b"9" * 400, 1)])
def test_how_many_are_asked_for(told: bytes, choices: int) -> None:
    assert read_form(form(('name="n"', told)), [TYPE]).choices == choices


def test_what_stands_before_the_first_part_is_no_part() -> None:
    body = b"preamble\r\n" + form(('name="model"', b"m"))
    assert read_form(body, [TYPE]).model == "m"


@pytest.mark.parametrize(
    "content_type", [b'multipart/form-data; boundary="b 1"', b'Multipart/Form-Data; charset=utf-8; boundary="b 1"']
)
def test_a_boundary_may_be_quoted(content_type: bytes) -> None:
    body = form(('name="model"', b"m"), boundary=b"b 1")
    assert read_form(body, [(b"content-type", content_type)]).model == "m"


@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        (form(('name="model"', b"a"), ('name="model"', b"b")), TYPE[1], "more than once"),
        (form(('name="n"', b"1"), ('name="n"', b"9")), TYPE[1], "'n' more than once"),
        (form(), b"multipart/form-data", "names no boundary"),
        (form(*[('name="x"', b"1")] * (MAX_PARTS + 1)), TYPE[1], "more than"),
    ],
)
def test_forms_that_are_refused(body: bytes, content_type: bytes, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        read_form(body, [(b"content-type", content_type)])


@pytest.mark.parametrize("body", [b"", b"--b1", b"--b1\r\n", b"--b1\r\nx\r\n--b1", b"\r\n\r\n", b"--b1\r\n\r\n--b1--"])
def test_what_is_no_form_names_nothing(body: bytes) -> None:
    assert read_form(body, [TYPE]).model is None


def test_which_bodies_are_forms() -> None:
    assert is_form([(b"accept", b"*/*"), (b"content-type", b"Multipart/form-data; boundary=x")])
    assert not is_form([(b"content-type", b"application/json")])
    assert not is_form([])


def test_the_refusal_says_what_to_write_instead() -> None:
    error = refuse_edit("whisper-1")
    assert (error.param, error.status) == ("model", 400)
    assert "'whisper-1'" in error.message
    assert "X-Provider" in error.message


PIECES = st.sampled_from([b"--b1", b"\r\n", b"--", b"content-disposition: form-data; name=model", b"m", b"\n", b'"'])


@given(st.lists(PIECES, max_size=30).map(b"".join), st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(pieces: bytes, noise: bytes) -> None:
    for body in (pieces, noise, pieces + noise):
        try:
            ask = read_form(body, [TYPE])
        except BadRequest as error:
            assert error.param in {"model", "n"}  # noqa: PT017  (most bodies raise nothing)
        else:
            assert ask.input_bytes == len(body)
