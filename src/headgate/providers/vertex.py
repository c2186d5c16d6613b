"""Google Cloud's Vertex AI (facts/wire.md section 5; the addresses of google-genai 3.4.0).

Paths name a project and a location, and each location has its own host. The credential is an OAuth access token: one of
the operator's, or those that a service account gets.
"""

import re

from headgate.providers.base import Deployment, Grant, Provider, StreamUsage
from headgate.providers.grants import ServiceAccount

_LOCATION = re.compile(r"/[^/]+/projects/[^/]+/locations/([a-z][a-z0-9-]{0,40})/")
"""A location as it may stand in a host's name: a path is the client's own, and must not choose another host."""
_MULTI_REGIONS = frozenset({"us", "eu"})


def home(path: str) -> str | None:
    """The address of a path's location."""
    named = _LOCATION.match(path)
    if named is None or named[1] == "global":
        return None
    if named[1] in _MULTI_REGIONS:
        return f"https://aiplatform.{named[1]}.rep.googleapis.com"
    return f"https://{named[1]}-aiplatform.googleapis.com"


def grant(deployment: Deployment) -> Grant | None:
    """A service account's, if its key is there. Raises ValueError if that is none."""
    key = deployment.secrets.get("service_account")
    return None if key is None else ServiceAccount.from_json(key.reveal())


PROVIDER = Provider(
    name="vertex",
    title="Google Vertex AI",
    base_url="https://aiplatform.googleapis.com",
    dialects=("vertex.generate_content", "vertex.messages"),
    api_key_env="GOOGLE_ACCESS_TOKEN",
    base_url_env="GOOGLE_VERTEX_BASE_URL",
    home=home,
    secret_files={"service_account": "service_account_file"},
    grant=grant,
    stream_usage=StreamUsage.UNASKED,
    model_patterns=(
        "gemini-*",
        "claude-*",
        "text-embedding-00[0-9]",
        "text-multilingual-embedding-*",
        "multimodalembedding*",
        "imagen-*",
        "veo-*",
        "[0-9]*",  # a tuned model's endpoint
    ),
)
