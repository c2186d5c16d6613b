"""POST /audio/transcriptions, /audio/translations and /audio/speech (facts/wire.md section 7 names the paths)."""

from headgate.dialects.base import Metering, Operation
from headgate.dialects.openai_media import MediaDialect


class OpenAIAudio(MediaDialect):
    """Speech to text, and text to speech."""

    name = "openai.audio"
    makes = "audio"
    operations = (
        Operation("transcribe", "POST", "/audio/transcriptions"),
        Operation("translate", "POST", "/audio/translations"),
        Operation("speak", "POST", "/audio/speech"),
        Operation("voices", "GET", "/audio/voices", Metering.FREE),
    )


DIALECT = OpenAIAudio()
