import json
from base64 import urlsafe_b64decode
from urllib.parse import parse_qs

import pytest

from headgate.providers.base import Secret
from headgate.providers.grants import ClientCredentials, ServiceAccount, read_token

KEY = {"token_uri": "https://t/token", "client_email": "a@b", "private_key_id": "k1", "private_key": "PEM"}


def no_signing(text: bytes, key: Secret) -> bytes:
    raise AssertionError((text, key))


def part(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_client_credentials() -> None:
    form = ClientCredentials("https://t", "id", Secret("s&cret"), "scope/.default").form(0, no_signing)
    assert parse_qs(form.decode()) == {
        "grant_type": ["client_credentials"], "client_id": ["id"], "client_secret": ["s&cret"],
        "scope": ["scope/.default"],
    }  # fmt: skip


def test_a_service_accounts_assertion() -> None:
    signed: list[tuple[bytes, str]] = []

    def sign(text: bytes, key: Secret) -> bytes:
        signed.append((text, key.reveal()))
        return b"signature"

    form = parse_qs(ServiceAccount.from_json(json.dumps(KEY)).form(1_000, sign).decode())
    head, claims, signature = form["assertion"][0].split(".")
    assert signed == [(f"{head}.{claims}".encode(), "PEM")]
    assert part(signature) == b"signature"
    assert json.loads(part(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    told = json.loads(part(claims))
    assert (told["iss"], told["aud"], told["iat"], told["exp"]) == ("a@b", "https://t/token", 1_000, 4_600)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps(KEY | {"private_key": 1}), '{"private_key":"SECRET"'])
def test_what_is_no_key_file(text: str) -> None:
    with pytest.raises(ValueError, match="service account") as raised:
        ServiceAccount.from_json(text)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b'{"access_token":"t","expires_in":600}', 600),
        (b'{"access_token":"t"}', 3600),
        (b'{"access_token":"t","expires_in":90000}', 3600),
    ],
)
def test_a_token(body: bytes, seconds: int) -> None:
    token = read_token(body)
    assert (token.value.reveal(), token.seconds) == ("t", seconds)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"access_token":1}', b'{"access_token":""}', b'{"access_token":"t","expires_in":0}']
)
def test_what_is_no_token(body: bytes) -> None:
    with pytest.raises(ValueError, match="expected a token"):
        read_token(body)
