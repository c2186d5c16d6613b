"""AWS Bedrock's runtime (facts/wire.md section 6).

A Bedrock API key goes out as a bearer token. Without one, requests are signed with an access key, or with what a
profile of the credential chain gives.
"""

from collections.abc import Sequence

from headgate.providers.base import Deployment, Outbound, Provider, StreamUsage
from headgate.providers.sigv4 import Credentials, sign

_SERVICE = "bedrock"
"""The name that signatures carry: not the host's."""

_MAKERS = (
    "ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "luma", "meta", "minimax", "mistral", "moonshot",
    "moonshotai", "nvidia", "openai", "qwen", "stability", "twelvelabs", "writer", "zai",
)  # fmt: skip
"""Model ids begin with their maker's name, and inference profiles with a region's before it: us.anthropic.*."""


def handshake(deployment: Deployment, outbound: Outbound) -> Sequence[tuple[bytes, bytes]]:
    """The API key as a bearer token, or the signature's headers; none where there is neither."""
    access_key, secret = (deployment.secrets.get(name) for name in PROVIDER.needed_secrets)
    if deployment.credential is not None or access_key is None or secret is None:
        return deployment.auth_headers()
    return sign(
        outbound.method,
        outbound.host,
        outbound.target,
        outbound.headers,
        outbound.body,
        region=deployment.options.get("region", ""),
        service=_SERVICE,
        credentials=Credentials(access_key.reveal(), secret, deployment.secrets.get("session_token")),
        now=outbound.at_ns // 10**9,
    )


PROVIDER = Provider(
    name="bedrock",
    title="AWS Bedrock",
    base_url="https://bedrock-runtime.{region}.amazonaws.com",
    dialects=("bedrock.converse", "bedrock.invoke"),
    api_key_env="AWS_BEARER_TOKEN_BEDROCK",
    base_url_env="AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    options={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
    secrets={
        "access_key_id": "AWS_ACCESS_KEY_ID",
        "secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "session_token": "AWS_SESSION_TOKEN",
    },
    stream_usage=StreamUsage.UNASKED,
    profile_option="profile",
    needed_secrets=("access_key_id", "secret_access_key"),
    handshake=handshake,
    model_patterns=(
        *(f"{maker}.*" for maker in _MAKERS),
        *(f"*.{maker}.*" for maker in _MAKERS),
        "arn:*",
        "arn:*/*",
    ),
)
