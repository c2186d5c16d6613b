"""POST /images/generations, /images/edits and /images/variations (facts/wire.md section 7 names the paths)."""

from headgate.dialects.base import Operation
from headgate.dialects.openai_media import MediaDialect


class OpenAIImages(MediaDialect):
    """Pictures made and changed."""

    name = "openai.images"
    makes = "images"
    takes_pictures = True
    operations = (
        Operation("generate", "POST", "/images/generations"),
        Operation("edit", "POST", "/images/edits"),
        Operation("vary", "POST", "/images/variations"),
    )


DIALECT = OpenAIImages()
