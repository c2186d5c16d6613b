"""RS256 signatures, for service accounts. Needs the extra `gcp`; without it, asking for one says so."""

from headgate.providers.base import Secret

try:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True


def sign(text: bytes, private_key: Secret) -> bytes:
    """The signature of a text under an RSA key in PEM. Raises ValueError if it is none, or the extra is missing."""
    if not INSTALLED:
        raise ValueError("service accounts need the extra headgate[gcp]")
    try:
        key = load_pem_private_key(private_key.reveal().encode(), password=None)
    except ValueError:
        raise ValueError("expected a private key in PEM") from None  # its own message may quote the key
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("expected an RSA key")  # noqa: TRY004  (a bad value in a file, not a bad argument)
    return key.sign(text, PKCS1v15(), SHA256())
