"""What could not be written before the gateway had to stop: JSON lines beside the database.

Records, and the commands that resolve holds. The next start reads them in and removes the file. A record's line is its
row under the names of its columns; a command's, its fields with its name.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from headgate.ledger.commands import Capture, Expire, Resolution, Void
from headgate.records import Record
from headgate.stores.rows import as_object, from_object, from_row, to_row

_log = logging.getLogger("headgate.records")

_VERBS: dict[str, type[Resolution]] = {"capture": Capture, "void": Void, "expire": Expire}
_NAMES = {verb: name for name, verb in _VERBS.items()}


@dataclass(frozen=True, slots=True)
class Spilled:
    """What a stop left behind, each in order."""

    records: tuple[Record, ...] = ()
    resolutions: tuple[Resolution, ...] = ()

    @property
    def empty(self) -> bool:
        """True if there is nothing."""
        return not self.records and not self.resolutions

    def __str__(self) -> str:
        """For the log."""
        if not self.resolutions:
            return f"{len(self.records)} records"
        return f"{len(self.records)} records and {len(self.resolutions)} settlements of holds"


def spill_path(database: Path) -> Path:
    """Where what belongs to a database is spilled."""
    return database.with_name(database.name + ".spill.jsonl")


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """No other process of one database spills, or reads and removes what was spilled, meanwhile. Raises OSError."""
    with database.with_name(database.name + ".spill.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def spill(database: Path, left: Spilled) -> None:
    """Append to the spill file, and sync it. Raises OSError."""
    rows: Iterable[dict[str, Any]] = (
        *(as_object(to_row(record)) for record in left.records),
        *({"command": _NAMES[type(command)]} | asdict(command) for command in left.resolutions),
    )
    with spill_path(database).open("a", encoding="ascii") as file:
        for row in rows:
            # The newline comes first, so that a line torn by an earlier stop ends there.
            file.write("\n" + json.dumps(row))
        file.flush()
        os.fsync(file.fileno())


def spilled(database: Path) -> Spilled:
    """What is in the spill file, if there is one. A torn line is logged and left out. Raises OSError."""
    path = spill_path(database)
    records: list[Record] = []
    resolutions: list[Resolution] = []
    if not path.exists():
        return Spilled()
    for line in filter(None, path.read_text("ascii", errors="replace").splitlines()):
        try:
            named: dict[str, Any] = json.loads(line)
            if "command" in named:
                resolutions.append(_VERBS[named.pop("command")](**named))
            else:
                records.append(from_row(from_object(named)))
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            _log.error("a line of %s cannot be read (%s) and is lost: %.2000s", path, error, line)
    return Spilled(tuple(records), tuple(resolutions))


def remove_spill(database: Path) -> None:
    """Remove the spill file, what it held being on disk. Raises OSError."""
    spill_path(database).unlink(missing_ok=True)
