"""Reads the few plain fields that headgate needs out of a multipart form, and never changes one (RFC 7578).

A form carries a file of many megabytes, so the body is searched and not copied: a part's head is looked at, its content
passed over unless it is a field that is wanted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from headgate.dialects.base import Ask
from headgate.errors import BadRequest

_BOUNDARY = re.compile(r'multipart/form-data\b.*?;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'content-disposition:[^\r\n]*?;\s*name=(?:"([^"\r\n]*)"|([^\s;"]+))', re.IGNORECASE)

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
    """The ask of a form with the fields `model` and `stream`.

    Raises BadRequest for a form without a boundary, for a model named twice, and for more parts than MAX_PARTS.
    """
    fields = _fields(body, headers, (b"model", b"stream"))
    return Ask(model=fields.get(b"model"), stream=fields.get(b"stream") == "true", input_bytes=len(body))


def refuse_edit(model: str) -> BadRequest:
    """Why a model's name cannot be changed inside a form."""
    return BadRequest(
        f"A multipart form is passed on as it is, so a provider's name cannot be taken off its model. Write the model "
        f"as '{model[:MAX_VALUE]}', and name the provider in the X-Provider header.",
        param="model",
    )


def _fields(body: bytes, headers: Sequence[tuple[bytes, bytes]], wanted: Sequence[bytes]) -> Mapping[bytes, str]:
    found = _BOUNDARY.match(_content_type(headers))
    if found is None:
        raise BadRequest("The multipart form's Content-Type names no boundary.")
    fields: dict[bytes, str] = {}
    for name, value in _parts(body, b"--" + (found[1] or found[2]).encode("latin-1")):
        if name in fields and name == b"model":
            raise BadRequest("The form names 'model' more than once.", param="model")
        if name in wanted and len(value) <= MAX_VALUE:
            fields[name] = value.decode("utf-8", "replace")
    return fields


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each part, a long content cut."""
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
            yield bytes(name[1] if name[1] is not None else name[2]), body[start + 4 : min(end, start + 5 + MAX_VALUE)]
        at = end
    raise BadRequest(f"The multipart form has more than {MAX_PARTS} parts.")


def _content_type(headers: Sequence[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
