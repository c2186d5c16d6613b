"""Records that could not be written before the gateway had to stop: JSON lines beside the database.

The next start reads them in and removes the file. A line is a row under the names of its columns.
"""

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from headgate.records import Record
from headgate.stores.rows import as_object, from_object, from_row, to_row

_log = logging.getLogger("headgate.records")


def spill_path(database: Path) -> Path:
    """Where the records of a database are spilled."""
    return database.with_name(database.name + ".spill.jsonl")


def spill(database: Path, records: Iterable[Record]) -> None:
    """Append records to the spill file, and sync it. Raises OSError."""
    with spill_path(database).open("a", encoding="ascii") as file:
        for record in records:
            # The newline comes first, so that a line torn by an earlier stop ends there.
            file.write("\n" + json.dumps(as_object(to_row(record))))
        file.flush()
        os.fsync(file.fileno())


def spilled(database: Path) -> list[Record]:
    """The records in the spill file, if there is one. A torn line is logged and left out. Raises OSError."""
    path = spill_path(database)
    if not path.exists():
        return []
    records: list[Record] = []
    for line in path.read_text("ascii", errors="replace").splitlines():
        try:
            if line:
                records.append(from_row(from_object(json.loads(line))))
        except (ValueError, AttributeError) as error:
            _log.error("a line of %s is no record (%s) and is lost: %.2000s", path, error, line)
    return records


def remove_spill(database: Path) -> None:
    """Remove the spill file, its records being on disk. Raises OSError."""
    spill_path(database).unlink(missing_ok=True)
