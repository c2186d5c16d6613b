import pytest

from headgate.dialects.base import Metering
from headgate.dialects.registry import recognise, recognise_suffix
from headgate.dialects.vertex_generate import DIALECT
from headgate.testing.corpus import Case
from tests.dialects import expected

CASES = [case for case in expected.cases("google.generate_content") if "/publishers/" in case.api_path]
PROJECT = "/v1beta1/projects/p-1/locations/europe-west4"


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_recorded_paths_are_recognised(case: Case) -> None:
    match = recognise_suffix("POST", case.api_path.partition("?")[0])
    assert match is not None
    assert match.dialect is DIALECT
    assert match.operation.streams == case.stream
    assert match.operation.metering is Metering.COUNTED


@pytest.mark.parametrize("way", ["/publishers/google/models/m-1", "/endpoints/m-1"])
@pytest.mark.parametrize(
    ("verb", "metering", "streams"),
    [
        ("generateContent", Metering.COUNTED, False),
        ("streamGenerateContent", Metering.COUNTED, True),
        ("countTokens", Metering.FREE, False),
        ("computeTokens", Metering.FREE, False),
        ("embedContent", Metering.COUNTED, False),
        ("predict", Metering.COUNTED, False),
    ],
)
def test_paths(way: str, verb: str, metering: Metering, *, streams: bool) -> None:
    match = recognise("POST", f"{PROJECT}{way}:{verb}")
    assert match is not None
    assert match.dialect is DIALECT
    assert (match.operation.metering, match.operation.streams) == (metering, streams)
    assert match.parameters["model"] == "m-1"
    assert match.parameters["location"] == "europe-west4"


def test_express_mode_names_no_project() -> None:
    match = recognise("POST", "/v1beta1/publishers/google/models/gemini-3:generateContent")
    assert match is not None
    assert (match.dialect, match.operation.name, match.parameters["model"]) == (DIALECT, "generate_express", "gemini-3")


def test_another_publishers_models_are_not_googles() -> None:
    assert recognise("POST", f"{PROJECT}/publishers/meta/models/llama:generateContent") is None
