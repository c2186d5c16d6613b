import pytest

from headgate.providers.vertex import PROVIDER
from tests.providers import bearer, deployed, url

MODEL = "publishers/google/models/gemini-3:generateContent"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        # What is no location chooses no host.
        ("evil.example", "aiplatform.googleapis.com"),
        ("evil.example%2F", "aiplatform.googleapis.com"),
        ("x@evil", "aiplatform.googleapis.com"),
        ("-", "aiplatform.googleapis.com"),
        ("a" * 60, "aiplatform.googleapis.com"),
    ],
)
def test_each_location_has_its_host(location: str, host: str) -> None:
    path = f"/v1/projects/p-1/locations/{location}/{MODEL}"
    vertex = deployed(GOOGLE_ACCESS_TOKEN="ya29.t").at(path)
    assert url(vertex, "vertex.generate_content", path) == f"https://{host}{path}"
    assert (vertex.origin.host, vertex.origin.port) == (host, 443)
    assert vertex.auth_headers() == bearer("ya29.t")
    assert vertex.name == "vertex"


def test_express_mode_names_no_location() -> None:
    vertex = deployed(GOOGLE_ACCESS_TOKEN="ya29.t")
    assert vertex.at(f"/v1/{MODEL}") is vertex


def test_an_address_of_the_operators_serves_every_location() -> None:
    vertex = deployed(GOOGLE_ACCESS_TOKEN="ya29.t", GOOGLE_VERTEX_BASE_URL="http://proxy:81")
    path = f"/v1/projects/p-1/locations/europe-west4/{MODEL}"
    assert url(vertex.at(path), "vertex.generate_content", path) == f"http://proxy:81{path}"


def test_its_names() -> None:
    for model in ("gemini-2.5-pro", "claude-opus-4-5@20251101", "text-embedding-005", "4711471147114711"):
        assert PROVIDER.recognises(model)
    assert not PROVIDER.recognises("gpt-5")
