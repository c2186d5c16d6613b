from typing import get_args

import pytest

from headgate.ledger.commands import Command, Resolution, Void
from headgate.ledger.machine import SAME


@pytest.mark.parametrize("kind", get_args(Command))
def test_every_command_names_its_account(kind: type) -> None:
    assert "account_id" in kind.__struct_fields__  # type: ignore[attr-defined] # all are Structs


def test_a_resolution_is_a_command_with_a_state() -> None:
    assert set(get_args(Resolution)) == set(SAME)
    assert set(get_args(Resolution)) < set(get_args(Command))


def test_commands_do_not_change() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Void("h", "a", 1).at_ns = 2  # type: ignore[misc] # that is the point
