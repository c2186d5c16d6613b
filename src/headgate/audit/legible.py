"""A body's bytes as text: its content-encoding undone, and what is no text replaced by how much of it there is."""

import codecs
import json
import re
from base64 import b64decode
from binascii import Error as NotBase64

from headgate.framing.eventstream import EventStream
from headgate.framing.inflate import inflater

MOST = 4 * 1024 * 1024
"""Bytes that are made legible; pictures before the text of a prompt have room in it."""

_AWS_EVENTS = "application/vnd.amazon.eventstream"
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_BYTES = re.compile(r'^\{"bytes":"([A-Za-z0-9+/=]*)"')


def legible(body: bytes, content_type: str = "", content_encoding: str = "") -> str:
    """The text of a body, or of its beginning. Never raises.

    `content_encoding` is as in the header; "" where there is nothing to undo.
    """
    inflate = inflater(content_encoding)
    if inflate is not None:
        body, sent = b"", body
        for piece in inflate.feed(sent):
            body += piece
            if len(body) > MOST:
                break
        if sent and not body:
            return f"[{len(sent)} bytes of {content_encoding}]"
    body = body[:MOST]
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _AWS_EVENTS:
        return _aws_events(body)
    if kind.startswith("multipart/"):
        return _parts(body, content_type)
    return _text(body, kind)


def _text(body: bytes, kind: str = "") -> str:
    """UTF-8, its last character perhaps cut off; else how much there is of what."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(body)
    except UnicodeDecodeError:
        text = "\0"
    return text if "\0" not in text else f"[{len(body)} bytes" + (f" of {kind}]" if kind else "]")


def _aws_events(body: bytes) -> str:
    """A line for each message: its payload, or what that has in Base64."""
    lines = []
    for frame in EventStream().feed(body):
        text = _text(frame.data)
        held = _BYTES.match(text)
        if held is not None:
            try:
                text = _text(b64decode(held[1]))
            except NotBase64:
                text = json.dumps(f"[{len(held[1])} characters]")
        lines.append(text)
    return "\n".join(lines)


def _parts(body: bytes, content_type: str) -> str:
    """A form as it is, but for files that are no text."""
    named = _BOUNDARY.search(content_type)
    if named is None:
        return _text(body, "multipart")
    delimiter = b"--" + (named[1] or named[2]).encode("latin-1")
    parts = []
    for part in body.split(delimiter):
        head, between, content = part.partition(b"\r\n\r\n")
        parts.append(_text(head) + between.decode() + _text(content))
    return delimiter.decode("latin-1").join(parts)
