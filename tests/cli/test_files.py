import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from headgate.cli.files import in_place_of
from headgate.errors import ConfigError


def test_it_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with in_place_of(path) as file:
        file.write(b"whole")
        assert not path.exists()
        assert [part.name for part in path.parent.iterdir()] == [f"file.{os.getpid()}.part"]
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_left_of_what_broke_off(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with suppress(KeyboardInterrupt), in_place_of(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_pointing_where_it_did(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with in_place_of(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    with in_place_of(pipe) as file:
        file.write(b"through")
    reader.join()
    assert got == [b"through"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["folder", "plain/file"])
def test_what_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot write"), in_place_of(tmp_path / name) as file:
        file.write(b"x")
