from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.tomltext import sections_of, shaped, table_of

ENV = {"NAME": "v", "_X1": 'a"\\${NAME}', "EMPTY": ""}
SOURCE = "it.toml"


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: int = 0


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = ""
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("", {}),
        ("a = '${NAME}'", {"a": "v"}),
        ("a = 'x${NAME}${EMPTY}y${NAME}'", {"a": "xvyv"}),
        ("a = '${_X1}'", {"a": 'a"\\${NAME}'}),  # what a variable holds is text, and looked into no further
        ("[a.b]\nc = ['${NAME}', 1, ['${NAME}']]", {"a": {"b": {"c": ["v", 1, ["v"]]}}}),
        ("[[a]]\nb = '${NAME}'\n[[a]]\nb = true", {"a": [{"b": "v"}, {"b": True}]}),
        ("'${NAME}' = 1.5", {"${NAME}": 1.5}),
        ("a = '$NAME ${1X} ${} ${NAME $${NAME}'", {"a": "$NAME ${1X} ${} ${NAME $v"}),
        ("# ${UNSET}", {}),
    ],
)
def test_variables_are_filled_into_strings(text: str, table: dict[str, Any]) -> None:
    assert table_of(text, ENV, SOURCE) == table


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = '${UNSET}'", "it.toml: `a`: the environment variable UNSET is not set"),
        ("[a]\nb = ['', {c = '${NAME}${UNSET}'}]", "it.toml: `a.b.c`: the environment variable UNSET is not set"),
        ("a = ", "it.toml: expected TOML: "),
        ("a = 1\na = 2", "it.toml: expected TOML: "),
    ],
)
def test_what_is_wrong_in_a_text_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        table_of(text, ENV, SOURCE)
    assert caught.value.message.startswith(told)


@given(st.text())
def test_any_text_is_a_table_or_is_refused(text: str) -> None:
    with suppress(ConfigError):
        table_of(text, {}, SOURCE)


def test_sections_are_taken_out_of_the_table() -> None:
    table = {"a": {"x": {"text": "t"}, "y": {"inner": {"n": 2}}}, "b": 1}
    assert sections_of(table, "a", Shape, SOURCE) == {"x": Shape("t"), "y": Shape(inner=Inner(2))}
    assert table == {"b": 1}
    assert sections_of(table, "a", Shape, SOURCE) == {}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1, "it.toml: `a`: expected tables, [a.NAME]"),
        ({"x": 1}, "it.toml: `a.x`: Expected `object`, got `int`"),
        ({"x": {"txt": ""}}, "it.toml: `a.x`: Object contains unknown field `txt`; known are text, inner"),
        ({"x": {"inner": {"m": 1}}}, "it.toml: `a.x`: Object contains unknown field `m` - at `$.inner`"),
    ],
)
def test_what_is_wrong_in_a_section_is_told_with_its_name(value: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sections_of({"a": value}, "a", Shape, SOURCE)
    assert caught.value.message == told


def test_a_value_of_the_wrong_type_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        shaped({"inner": {"n": "s3cr3t"}}, Shape, SOURCE)
    assert caught.value.message == "it.toml: Expected `int`, got `str` - at `$.inner.n`"
