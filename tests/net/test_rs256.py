import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headgate.net import rs256
from headgate.providers.base import Secret


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def test_the_signature_holds() -> None:
    key = rsa.generate_private_key(65537, 2048)
    key.public_key().verify(rs256.sign(b"text", pem(key)), b"text", padding.PKCS1v15(), SHA256())


@pytest.mark.parametrize("key", [Secret("no key at all"), pem(ec.generate_private_key(ec.SECP256R1()))])
def test_what_is_no_rsa_key(key: Secret) -> None:
    with pytest.raises(ValueError, match="expected") as raised:
        rs256.sign(b"text", key)
    assert "no key at all" not in str(raised.value)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rs256, "INSTALLED", False)
    with pytest.raises(ValueError, match="gcp"):
        rs256.sign(b"text", Secret("key"))
