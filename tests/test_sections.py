"""The shapes of headgate.toml: each section stands by itself, and none takes what it does not know."""

import msgspec
import pytest

from headgate.sections import File


def test_an_empty_file_is_a_whole_one() -> None:
    assert msgspec.convert({}, File) == File()


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(File)])
def test_no_section_takes_what_it_does_not_know(name: str) -> None:
    if isinstance(getattr(File(), name), msgspec.Struct):
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.convert({name: {"no_such_setting": 1}}, File)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({f"{name}_": 1}, File)
