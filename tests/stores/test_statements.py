import pytest

from headgate.stores.statements import together


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 127, 1_000])
def test_every_row_is_in_one_part_in_its_order(count: int) -> None:
    parts = [*together(range(count))]
    assert [row for part in parts for row in part] == [*range(count)]
    assert {len(part) for part in parts} <= {1, 2, 4, 8, 16, 32, 64}
    assert len(parts) <= count // 64 + 6
