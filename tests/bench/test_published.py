"""What a page says, read back."""

import pytest

from bench import published

PAGE = """
| | other |
| a | 7 |
<!-- x: begin -->
|  | direct | nginx |
| --- | ---: | ---: |
| a | base 1,050.5 (1 to 2) | **3.00** (2 to 4), at 5 |
| b | - | -12 |

text
|  | y |
| a | 3 |
<!-- x: end -->
| b | 8 |
"""


def test_medians_are_read_by_row_and_column() -> None:
    assert published.medians(PAGE, "x") == {
        ("a", "direct"): 1050.5, ("a", "nginx"): 3.0, ("b", "nginx"): -12.0, ("a", "y"): 3.0,
    }  # fmt: skip


def test_a_page_without_the_markers_says_nothing() -> None:
    with pytest.raises(ValueError, match="not found"):
        published.medians(PAGE, "y")
