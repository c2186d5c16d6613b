import io
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headgate.admin.export import COLUMNS
from headgate.cli.parquet import ROW_GROUP, SCHEMA, ParquetFile
from headgate.records import Record
from tests.admin.exported import record_of
from tests.cli.test_export import parquet_rows
from tests.stores.examples import PLAIN, any_record


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(any_record, max_size=2), max_size=2))
def test_parquet_read_back_equals_the_records(pages: list[list[Record]]) -> None:
    file = io.BytesIO()
    sink = ParquetFile(file)
    for page in pages:
        sink.write(page)
    sink.close()
    assert [record_of(row) for row in parquet_rows(file)] == [record for page in pages for record in page]


def test_the_columns_are_those_of_every_export() -> None:
    assert SCHEMA.names == [column.name for column in COLUMNS]


def test_rows_are_written_in_groups(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    with path.open("wb") as file:
        sink = ParquetFile(file)
        for _ in range(3):
            sink.write([PLAIN] * (ROW_GROUP // 2))
        sink.close()
    found = parquet.read_metadata(path)
    assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == [ROW_GROUP, ROW_GROUP // 2]
