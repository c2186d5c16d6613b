"""Azure OpenAI (facts/wire.md section 7).

Two ways lead to a deployment: its name in the path, with an api-version, and the newer v1 path with its name as the
model. A key goes in a header of Azure's own; an Entra ID token, which stands in the place of a key, as a bearer token.
Model names are the operator's own, so none can be known.
"""

from collections.abc import Sequence

from headgate.providers.base import Deployment, Grant, Outbound, Provider
from headgate.providers.grants import ClientCredentials

_SCOPE = "https://cognitiveservices.azure.com/.default"


def handshake(deployment: Deployment, outbound: Outbound) -> Sequence[tuple[bytes, bytes]]:
    """The key in `api-key`, or else the Entra ID token."""
    del outbound
    if deployment.credential is not None:
        return ((b"api-key", deployment.credential.reveal().encode()),)
    token = deployment.secrets.get("ad_token")
    return () if token is None else ((b"authorization", b"Bearer " + token.reveal().encode()),)


def grant(deployment: Deployment) -> Grant | None:
    """Entra ID's client credentials flow, if the application's secret is there and no key is."""
    secret, options = deployment.secrets.get("client_secret"), deployment.options
    if secret is None or deployment.credential is not None or not {"tenant_id", "client_id"} <= options.keys():
        return None
    authority = options.get("authority", "https://login.microsoftonline.com")
    url = f"{authority}/{options['tenant_id']}/oauth2/v2.0/token"
    return ClientCredentials(url, options["client_id"], secret, _SCOPE)


PROVIDER = Provider(
    name="azure",
    title="Azure OpenAI",
    base_url="https://{resource}.openai.azure.com/openai/v1",
    dialects=(
        "azure.deployments",
        "openai.chat",
        "openai.completions",
        "openai.embeddings",
        "openai.responses",
        "openai.audio",
        "openai.images",
        "openai.files",
        "openai.batches",
    ),
    sockets=("openai.responses",),
    api_key_env="AZURE_OPENAI_API_KEY",
    base_url_env="AZURE_OPENAI_ENDPOINT",
    options={
        "resource": ("AZURE_OPENAI_RESOURCE",),
        "tenant_id": ("AZURE_TENANT_ID",),
        "client_id": ("AZURE_CLIENT_ID",),
        "authority": ("AZURE_AUTHORITY_HOST",),
    },
    secrets={"ad_token": "AZURE_OPENAI_AD_TOKEN", "client_secret": "AZURE_CLIENT_SECRET"},
    grant=grant,
    usage_since="2024-09-01-preview",
    handshake=handshake,
    roots={"azure.deployments": ""},
    sdk_path="/openai/v1",
    self_hosted=True,
)
