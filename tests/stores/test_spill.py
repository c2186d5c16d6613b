import logging
import threading
from pathlib import Path

import pytest

from headgate.ledger.commands import Capture, Expire, Void
from headgate.stores.spill import Spilled, alone, remove_spill, spill, spill_path, spilled
from tests.stores.examples import a_record


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


def test_records_come_back_as_they_went(database: Path) -> None:
    records = (a_record("ex_1"), a_record("ex_2", model_asked="a\ud800b\nc\u2028d"))
    resolutions = (Capture("h1", "acme", 5, 6, quantity=7, note="é\n"), Void("h2", "acme", 8), Expire("h3", "acme", 9))
    left = Spilled(records, resolutions)
    spill(database, left)
    assert spilled(database) == left
    assert str(left) == "2 records and 3 settlements of holds"
    spill(database, Spilled(resolutions=(Void("h4", "acme", 8),)))
    assert spilled(database) == Spilled(records, (*resolutions, Void("h4", "acme", 8)))


def test_the_file_stands_beside_the_database_and_is_removed(database: Path) -> None:
    spill(database, Spilled((a_record(),)))
    assert spill_path(database) == database.parent / "records.db.spill.jsonl"
    assert spill_path(database).exists()
    remove_spill(database)
    assert not spill_path(database).exists()
    remove_spill(database)


def test_without_a_file_nothing_was_spilled(database: Path) -> None:
    assert spilled(database).empty


def test_a_torn_line_is_told_and_costs_no_other(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    spill(database, Spilled((a_record("ex_1"), a_record("ex_2"))))
    whole = spill_path(database).read_bytes()
    spill_path(database).write_bytes(whole[:-20])
    spill(database, Spilled((a_record("ex_3"),)))
    with caplog.at_level(logging.ERROR):
        records = spilled(database).records
    assert [record.exchange_id for record in records] == ["ex_1", "ex_3"]
    assert [message.count("ex_2") for message in caplog.messages] == [1]


def test_what_is_no_object_is_no_record(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    spill_path(database).write_bytes(b'[1]\n\n\xff\xfe\nnull\n{"command": "place"}\n{"command": "void", "shoe": 1}\n')
    assert spilled(database).empty
    assert len(caplog.messages) == 5


def test_what_one_process_spills_while_another_reads_is_not_lost(database: Path) -> None:
    """Two of one database: one begins, and reads and removes; the other stops, and spills in between."""
    spill(database, Spilled((a_record("ex_1"),)))
    begun = threading.Event()

    def stops() -> None:
        begun.set()
        with alone(database):
            spill(database, Spilled((a_record("ex_2"),)))

    other = threading.Thread(target=stops)
    with alone(database):
        assert [record.exchange_id for record in spilled(database).records] == ["ex_1"]
        other.start()
        begun.wait()
        remove_spill(database)
    other.join()
    assert [record.exchange_id for record in spilled(database).records] == ["ex_2"]
