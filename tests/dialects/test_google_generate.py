import pytest

from headgate.dialects.base import Metering
from headgate.dialects.google_generate import DIALECT
from headgate.dialects.registry import recognise, recognise_suffix, with_parameter
from headgate.testing.corpus import Case
from tests.dialects import expected

CASES = [case for case in expected.cases("google.generate_content") if "/publishers/" not in case.api_path]


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_recorded_paths_are_recognised(case: Case) -> None:
    match = recognise("POST", case.api_path.partition("?")[0])
    assert match is not None
    assert match.dialect is DIALECT
    assert match.operation.streams == case.stream
    assert match.operation.metering is Metering.COUNTED


@pytest.mark.parametrize(
    ("method", "path", "operation", "model"),
    [
        ("POST", "/v1/models/gemini-3:generateContent", "generate", "gemini-3"),
        ("POST", "/v1beta/models/google%2Fgemini-3:streamGenerateContent", "stream", "google/gemini-3"),
        ("POST", "/v1beta/models/gemini-3:countTokens", "count_input", "gemini-3"),
        ("POST", "/v1alpha/models/gemini-embedding-001:embedContent", "embed", "gemini-embedding-001"),
        ("POST", "/v1beta/models/gemini-embedding-001:batchEmbedContents", "embed_batch", "gemini-embedding-001"),
        ("POST", "/v1beta/models/imagen-4:predict", "predict", "imagen-4"),
        ("POST", "/v1beta/tunedModels/mine-1:generateContent", "generate_tuned", "mine-1"),
        ("POST", "/v1beta/tunedModels/mine-1:streamGenerateContent", "stream_tuned", "mine-1"),
        ("GET", "/v1beta/models", "list_models", None),
        ("GET", "/v1beta/models/gemini-3", "retrieve_model", "gemini-3"),
    ],
)
def test_paths(method: str, path: str, operation: str, model: str | None) -> None:
    match = recognise(method, path)
    assert match is not None
    assert (match.dialect, match.operation.name) == (DIALECT, operation)
    assert match.parameters.get("model") == model
    assert recognise_suffix(method, "/front" + path) == match


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1beta/models/gemini-3"),
        ("POST", "/v1beta/models/:generateContent"),
        ("GET", "/v1beta/models/gemini-3:generateContent"),
        ("GET", "/v1/models"),  # every provider's models, listed by the gateway
        ("POST", "/models/gemini-3:generateContent"),
    ],
)
def test_paths_of_no_operation(method: str, path: str) -> None:
    assert recognise(method, path) is None


def test_a_model_is_renamed_in_the_path() -> None:
    path = "/v1beta/models/google%2Fgemini-3:streamGenerateContent"
    match = recognise("POST", path)
    assert match is not None
    renamed = with_parameter(match.operation, path, "model", "gemini-3")
    assert renamed == "/v1beta/models/gemini-3:streamGenerateContent"


def test_what_counts_tokens_is_free() -> None:
    free = {operation.name for operation in DIALECT.operations if operation.metering is Metering.FREE}
    assert free == {"count_input", "list_models", "retrieve_model"}
