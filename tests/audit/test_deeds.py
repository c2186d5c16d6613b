from dataclasses import replace
from typing import Any

import pytest

from headgate.audit.deeds import Deed, DeedsWanted, lowered

DEED = Deed("deed_1", 1_000, "Ops", "top_up", "account/Team", 201, {"note": 'É "x"'})


@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        ({}, True),
        ({"since_ns": 1_000}, True),
        ({"since_ns": 1_001}, False),
        ({"until_ns": 1_001}, True),
        ({"until_ns": 1_000}, False),
        ({"actor": "Ops"}, True),
        ({"actor": "ops"}, False),
        ({"action": "top_up"}, True),
        ({"action": "top"}, False),
        ({"subject": "account/Team"}, True),
        ({"subject": "account"}, False),
        ({"text": "OPS"}, True),
        ({"text": "_UP"}, True),
        ({"text": "team"}, True),
        ({"text": '"NOTE":"É'}, True),
        ({"text": "é"}, False),
        ({"text": "opstop"}, False),
        ({"text": "ops", "actor": "someone"}, False),
    ],
)
def test_what_fits(wish: dict[str, Any], fits: bool) -> None:
    assert DeedsWanted(**wish).fits(DEED) is fits


def test_only_a_to_z_are_lowered() -> None:
    assert lowered("AZaz\u00c9\u0130\ud800") == "azaz\u00c9\u0130\ud800"


def test_a_detail_is_told_as_it_reads() -> None:
    assert DEED.detail_text == '{"note":"É \\"x\\""}'
    assert replace(DEED, detail={}).detail_text == "{}"
