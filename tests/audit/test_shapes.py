import json
from urllib.parse import quote

import pytest

from headgate.audit.shapes import attachments, exactly, shapes
from headgate.audit.spans import merged, rewritten
from tests.audit.planted import PEM, SECRETS


def without(text: str) -> str:
    return rewritten(text, merged(shapes(text)), len(text))


@pytest.mark.parametrize("secret", [*SECRETS.values(), PEM], ids=[*SECRETS, "pem"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("my key is ", ", keep it."), ('"', '"'), ("\n", "\n"), ("key=", "&x=1"), ("(", ")"), ("\u00e9", " ")],
)
def test_it_is_found_wherever_it_stands(secret: str, before: str, after: str) -> None:
    for text in (
        f"{before}{secret}{after}",
        json.dumps(f"{before}{secret}{after}"),
        json.dumps(json.dumps(f"{before}{secret}{after}")),
        json.dumps(f"{before}{secret}{after}").replace("/", "\\/"),
    ):
        left = without(text)
        assert secret not in left
        assert secret[10:30] not in left
        assert "[redacted]" in left


@pytest.mark.parametrize("secret", [SECRETS["openai"], SECRETS["aws secret"], SECRETS["headgate"]])
def test_it_is_found_in_a_url(secret: str) -> None:
    left = without(f"https://host/x%3Ftoken%3D{quote(secret, safe='+')}%26y")
    assert quote(secret, safe="+") not in left
    assert "[redacted]" in left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer [redacted]"),
        ("authorization: BASIC dXNlcjpwYXNzd29yZA==", "authorization: BASIC [redacted]"),
        ('"x-api-key": "0123456789"', '"x-api-key": "[redacted]"'),
        (r"{\"api_key\": \"0123456789\"}", r"{\"api_key\": \"[redacted]\"}"),
        ("AWS_SECRET_ACCESS_KEY=abcdefgh/ijkl", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ("password = correct-horse", "password = [redacted]"),
        ('{"key": "api_key=correct-horse"}', '{"key": "api_key=[redacted]"}'),
        ("token: auth_token: correct-horse", "token: auth_token: [redacted]"),
        ('"secret"="client_secret=correct-horse"', '"secret"="client_secret=[redacted]"'),
        ("api_key=secret_key='correct-horse'", "api_key=[redacted]'[redacted]'"),
        ("/desk-sk-abcdefghijklmnop", "/desk-[redacted]"),
        ("xeyJhbGciOi-eyJhbGciOiJI.eyJzdWIi.abc", "xeyJhbGciOi-[redacted]"),
        ("https://ann:hunter2@host/x", "https://ann:[redacted]@host/x"),
        ("/v1/x?key=abcdefgh1&a=b", "/v1/x?key=[redacted]&a=b"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIEvQ", "[redacted]"),
        ("x" * 10 + "Ab1/" * 100, "[base64, 410 characters]"),
    ],
)
def test_what_stands_in_a_telling_place(text: str, left: str) -> None:
    assert without(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "risk-adjusted-returns-over-ten-years and a desk-research-something-long",
        "the task-management-application-for-you",
        "0123456789abcdef0123456789abcdef01234567",
        "hg-abcdefgh is the hint of a key",
        "What is a bearer token? A password: any text.",
        '{"max_tokens": 100, "model": "gpt-4o-mini", "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012"}',
        "https://example.com/a/b/c?d=e&page=12#f",
        "x" * 2000,
        "the quick brown fox " * 100,
        '"password": {"type": "string"}',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without(text) == text


def test_attachments_are_shortened_to_their_length() -> None:
    picture = "iVBOR0kG" * 100
    for text, left in (
        (f'{{"url": "data:image/png;base64,{picture}"}}', '{"url": "data:image/png;base64,[800 characters]"}'),
        (f'{{"data": "{picture}", "a": 1}}', '{"data": "[base64, 800 characters]", "a": 1}'),
        (f'{{"data": "{picture}', '{"data": "[base64, 800 characters]'),
        ('{"data": "iVBOR0kG"}', '{"data": "iVBOR0kG"}'),
    ):
        assert rewritten(text, merged(attachments(text)), len(text)) == left


@pytest.mark.parametrize("secret", ["plain-key+with/marks=", 'a\nb"c\\d', "sch\u00f6n \U0001f600 key"])
def test_a_known_secret_is_found_however_it_is_written(secret: str) -> None:
    for written in (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/").replace("+", "\\u002B"),
        quote(secret, safe=""),
        quote(secret, safe="").lower() if secret.isascii() and secret.islower() else secret,
    ):
        assert exactly(secret).fullmatch(written), written
    assert not exactly(secret).search(secret[:-1])
