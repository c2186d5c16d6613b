"""generateContent and its relatives at AI Studio's paths (facts/wire.md section 5)."""

from headgate.dialects.base import Metering, Operation
from headgate.dialects.google_wire import GenerateDialect

_MODEL = "/{version}/models/{model}"


class GoogleGenerate(GenerateDialect):
    """The Gemini API."""

    name = "google.generate_content"
    operations = (
        Operation("generate", "POST", f"{_MODEL}:generateContent"),
        Operation("stream", "POST", f"{_MODEL}:streamGenerateContent", streams=True),
        Operation("count_input", "POST", f"{_MODEL}:countTokens", Metering.FREE),
        Operation("embed", "POST", f"{_MODEL}:embedContent"),
        Operation("embed_batch", "POST", f"{_MODEL}:batchEmbedContents"),
        Operation("predict", "POST", f"{_MODEL}:predict"),
        Operation("generate_tuned", "POST", "/{version}/tunedModels/{model}:generateContent"),
        Operation("stream_tuned", "POST", "/{version}/tunedModels/{model}:streamGenerateContent", streams=True),
        # Of these, only the version that no other API has: below /v1 the gateway lists the models of all providers.
        Operation("list_models", "GET", "/v1beta/models", Metering.FREE),
        Operation("retrieve_model", "GET", "/v1beta/models/{model}", Metering.FREE),
    )


DIALECT = GoogleGenerate()
