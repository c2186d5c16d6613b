"""What OpenAI's API does beside inference: files, uploads, moderations. All of it passes on unmetered."""

from collections.abc import Sequence

from headgate.dialects import multipart
from headgate.dialects.asking import Wanted, read_request
from headgate.dialects.base import Ask, Metering, Operation, Tally
from headgate.dialects.openai_media import MediaDialect, MediaTally


def _free(name: str, method: str, path: str) -> Operation:
    return Operation(name, method, path, Metering.FREE)


class OpenAIFiles(MediaDialect):
    """Files, uploads, moderations."""

    name = "openai.files"
    makes = "files"
    operations = (
        _free("upload", "POST", "/files"),
        _free("list", "GET", "/files"),
        _free("retrieve", "GET", "/files/{file}"),
        _free("delete", "DELETE", "/files/{file}"),
        _free("create_upload", "POST", "/uploads"),
        _free("add_upload_part", "POST", "/uploads/{upload}/parts"),
        _free("complete_upload", "POST", "/uploads/{upload}/complete"),
        _free("cancel_upload", "POST", "/uploads/{upload}/cancel"),
        _free("moderate", "POST", "/moderations"),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body: of a moderation its model, of a form nothing. Raises BadRequest."""
        if multipart.is_form(headers):
            return Ask(input_bytes=len(body))
        return Ask(model=read_request(body, Wanted).model, input_bytes=len(body))

    def tally(self) -> Tally:
        """A fresh tally; it finds no usage."""
        return MediaTally()


DIALECT = OpenAIFiles()
