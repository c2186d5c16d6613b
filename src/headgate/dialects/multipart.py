"""Reads the few plain fields that headgate needs out of a multipart form, and never changes one (RFC 7578).

A form carries a file of many megabytes, so the body is searched and not copied: a part's head is looked at, its content
passed over unless it is a field that is wanted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from headgate.dialects.asking import times
from headgate.dialects.base import Ask
from headgate.errors import BadRequest

_BOUNDARY = re.compile(r'multipart/form-data\b.*?;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'content-disposition:[^\r\n]*?;\s*name=(?:"([^"\r\n]*)"|([^\s;"]+))', re.IGNORECASE)
_FILE = re.compile(rb"content-disposition:[^\r\n]*?;\s*filename", re.IGNORECASE)
_ONCE = ("model", "n")
_MOST_DIGITS = 9

MAX_PARTS = 1000
"""Parts looked at; a real form has a dozen."""
MAX_HEAD = 4096
"""Bytes of a part's head; a longer one is passed over."""
MAX_VALUE = 1024
"""Bytes of a field that is wanted; no model's name is as long."""


def is_form(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """True if the content type says that the body is a multipart form."""
    return _content_type(headers).lower().startswith("multipart/form-data")


def read_form(body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
    """The ask of a form with the fields `model`, `stream` and `n`; its files are attachments, and no bytes of a prompt.

    Raises BadRequest for a form without a boundary, for a model or an `n` named twice, and for more parts than
    MAX_PARTS.
    """
    form = _read(body, headers, (b"model", b"stream", b"n"))
    n = form.fields.get(b"n", "")
    return Ask(
        model=form.fields.get(b"model"),
        stream=form.fields.get(b"stream") == "true",
        choices=times(int(n) if n.isascii() and n.isdigit() and len(n) <= _MOST_DIGITS else None),
        input_bytes=len(body),
        prompt_bytes=len(body) - form.file_bytes,
        attachments=form.files,
    )


def refuse_edit(model: str) -> BadRequest:
    """Why a model's name cannot be changed inside a form."""
    return BadRequest(
        f"A multipart form is passed on as it is, so a provider's name cannot be taken off its model. Write the model "
        f"as '{model[:MAX_VALUE]}', and name the provider in the X-Provider header.",
        param="model",
    )


class _Form(NamedTuple):
    fields: Mapping[bytes, str]
    """Those that are wanted."""
    files: int
    file_bytes: int


class _Part(NamedTuple):
    name: bytes
    value: bytes
    """The content, cut."""
    size: int
    """Bytes of the whole content."""
    is_file: bool


def _read(body: bytes, headers: Sequence[tuple[bytes, bytes]], wanted: Sequence[bytes]) -> _Form:
    found = _BOUNDARY.match(_content_type(headers))
    if found is None:
        raise BadRequest("The multipart form's Content-Type names no boundary.")
    fields: dict[bytes, str] = {}
    files = file_bytes = 0
    for part in _parts(body, b"--" + (found[1] or found[2]).encode("latin-1")):
        if part.is_file:
            files, file_bytes = files + 1, file_bytes + part.size
        name = part.name.decode("latin-1")
        if part.name in fields and name in _ONCE:
            raise BadRequest(f"The form names '{name}' more than once.", param=name)
        if part.name in wanted and len(part.value) <= MAX_VALUE:
            fields[part.name] = part.value.decode("utf-8", "replace")
    return _Form(fields, files, file_bytes)


def _parts(body: bytes, delimiter: bytes) -> Iterator[_Part]:
    """Each part that has a name."""
    view = memoryview(body)
    at = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter)
    for _ in range(MAX_PARTS):
        head = body.find(b"\r\n", at + 2)
        end = body.find(b"\r\n" + delimiter, head)
        if at < 0 or head < 0 or end < 0:
            return
        start = body.find(b"\r\n\r\n", head, min(end, head + MAX_HEAD))
        name = _NAME.search(view[head:start]) if start >= 0 else None
        if name is not None:
            yield _Part(
                bytes(name[1] if name[1] is not None else name[2]),
                body[start + 4 : min(end, start + 5 + MAX_VALUE)],
                max(0, end - start - 4),
                _FILE.search(view[head:start]) is not None,
            )
        at = end
    raise BadRequest(f"The multipart form has more than {MAX_PARTS} parts.")


def _content_type(headers: Sequence[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
