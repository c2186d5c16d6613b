"""Writing a file so that it is whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from headgate.errors import ConfigError


@contextmanager
def in_place_of(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of the one at `path` when the block ends well; nothing is left of it otherwise.

    It grows beside it, as `NAME.PID.part`. What is there and is no plain file, such as a pipe or /dev/stdout, is
    written to as it is. Raises ConfigError where it cannot be written.
    """
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
