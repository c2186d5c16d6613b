from headgate.providers.azure import PROVIDER
from headgate.providers.base import Deployment, Outbound
from tests.providers import bearer, deployed, url

ENDPOINT = "https://acme.openai.azure.com/"
OUTBOUND = Outbound(b"POST", b"acme.openai.azure.com", b"/", (), b"", 0)


def test_the_path_of_a_deployment() -> None:
    azure = deployed(AZURE_OPENAI_ENDPOINT=ENDPOINT, AZURE_OPENAI_API_KEY="a-1")
    path = "/openai/deployments/my-gpt/chat/completions"
    assert url(azure, "azure.deployments", path) == f"https://acme.openai.azure.com{path}"
    assert azure.target(path, b"api-version=2024-10-21", "azure.deployments").endswith(b"?api-version=2024-10-21")


def test_the_v1_path() -> None:
    azure = deployed(AZURE_OPENAI_ENDPOINT=ENDPOINT, AZURE_OPENAI_API_KEY="a-1")
    v1 = "https://acme.openai.azure.com/openai/v1"
    assert url(azure, "openai.chat", "/chat/completions") == f"{v1}/chat/completions"
    assert url(azure, "openai.responses", "/responses") == f"{v1}/responses"
    assert deployed(AZURE_OPENAI_ENDPOINT=v1).base_url == v1


def test_a_resource_stands_for_its_address() -> None:
    assert PROVIDER.address({"resource": "acme"}) == "https://acme.openai.azure.com/openai/v1"


def credential(deployment: Deployment) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(deployment.credential_headers(OUTBOUND))


def test_a_key_goes_in_a_header_of_its_own() -> None:
    azure = deployed(AZURE_OPENAI_ENDPOINT=ENDPOINT, AZURE_OPENAI_API_KEY="a-1", AZURE_OPENAI_AD_TOKEN="eyJ.t")
    assert credential(azure) == ((b"api-key", b"a-1"),)


def test_a_token_stands_in_the_place_of_a_key() -> None:
    assert credential(deployed(AZURE_OPENAI_ENDPOINT=ENDPOINT, AZURE_OPENAI_AD_TOKEN="eyJ.t")) == bearer("eyJ.t")
    assert credential(deployed(AZURE_OPENAI_ENDPOINT=ENDPOINT)) == ()


def test_old_versions_are_not_asked_for_usage() -> None:
    azure = deployed(AZURE_OPENAI_ENDPOINT=ENDPOINT)
    for version in ("2024-09-01-preview", "2024-10-21", "2025-04-01-preview"):
        assert azure.asks_for_usage(b"x=1&api-version=" + version.encode())
    for version in ("2023-05-15", "2024-06-01", "2024-08-01-preview"):
        assert not azure.asks_for_usage(b"api-version=" + version.encode())
    assert azure.asks_for_usage(b"")
