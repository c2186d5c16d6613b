"""generateContent and its relatives at Vertex' paths: the same bodies as AI Studio's (facts/wire.md section 5)."""

from collections.abc import Iterator

from headgate.dialects.base import Metering, Operation
from headgate.dialects.google_wire import GenerateDialect

_PROJECT = "/{version}/projects/{project}/locations/{location}"
_MODELS = {
    "": f"{_PROJECT}/publishers/google/models/{{model}}",
    "_express": "/{version}/publishers/google/models/{model}",
    "_endpoint": f"{_PROJECT}/endpoints/{{model}}",
}
"""Where a model can stand: Google's own, the same in express mode (without a project), and one that was tuned."""


def _operations() -> Iterator[Operation]:
    for way, model in _MODELS.items():
        yield Operation(f"generate{way}", "POST", f"{model}:generateContent")
        yield Operation(f"stream{way}", "POST", f"{model}:streamGenerateContent", streams=True)
        yield Operation(f"count_input{way}", "POST", f"{model}:countTokens", Metering.FREE)
        yield Operation(f"tokenize{way}", "POST", f"{model}:computeTokens", Metering.FREE)
        yield Operation(f"embed{way}", "POST", f"{model}:embedContent")
        yield Operation(f"predict{way}", "POST", f"{model}:predict")


class VertexGenerate(GenerateDialect):
    """The Gemini API of Google Cloud."""

    name = "vertex.generate_content"
    operations = tuple(_operations())


DIALECT = VertexGenerate()
