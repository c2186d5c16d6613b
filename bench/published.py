"""What docs/performance.md says, read back: other documents are held to it. Pure."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_NUMBER = re.compile(r"(?:base )?\*{0,2}(-?[\d,.]+)")


def medians(page: str, name: str = "bench") -> dict[tuple[str, str], float]:
    """The medians of the tables between the page's markers, by row and column. Raises ValueError without markers."""
    cells: dict[tuple[str, str], float] = {}
    columns: list[str] = []
    for line in page[page.index(f"{name}: begin") : page.index(f"{name}: end")].splitlines():
        row = [cell.strip() for cell in line.split("|")[1:-1]]
        if row[:1] == [""]:
            columns = row
        for column, cell in zip(columns[1:], row[1:], strict=False):
            if found := _NUMBER.match(cell):
                cells[row[0], column] = float(found[1].replace(",", ""))
    return cells
