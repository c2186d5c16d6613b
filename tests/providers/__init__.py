"""What the tests of provider files share."""

from headgate.providers.base import Deployment
from headgate.providers.registry import from_environment


def deployed(**env: str) -> Deployment:
    """The one deployment that these environment variables configure."""
    (deployment,) = from_environment(env)
    return deployment


def url(deployment: Deployment, dialect: str, path: str) -> str:
    """The URL that a request of this dialect goes to."""
    assert deployment.speaks(dialect)
    scheme = "https" if deployment.origin.tls else "http"
    return f"{scheme}://{deployment.host_header.decode()}{deployment.target(path, b'', dialect).decode()}"


def bearer(key: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of a bearer credential."""
    return ((b"authorization", b"Bearer " + key.encode()),)
