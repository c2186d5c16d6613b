"""Records as Parquet, with the extra `parquet`: the columns of admin/export.py in types that hold them exactly.

Nano-dollars are int64, dollars decimal128 with nine decimals, times timestamps to the nanosecond in UTC. What is nested
is JSON text: its shape is the providers' and not ours.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet

from headgate.admin.export import COLUMNS, Column, Kind, json_text
from headgate.records import Record

ROW_GROUP = 20_000
"""Records that are gathered before they are written: some 50 MB, and enough for a column to compress well."""

_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIME: pa.timestamp("ns", tz="UTC"),
    Kind.DOLLARS: pa.decimal128(19, 9),
    Kind.JSON: pa.string(),
}
SCHEMA = pa.schema([pa.field(column.name, _TYPES[column.kind]) for column in COLUMNS])


class ParquetFile:
    """Writes records to a file. Nothing of it can be read before `close`."""

    def __init__(self, file: BinaryIO) -> None:
        self._writer = parquet.ParquetWriter(file, SCHEMA, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, records: Sequence[Record]) -> None:
        """Take records; they are written with the next ROW_GROUP."""
        arrays = [_array(column, records) for column in COLUMNS]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
        self._rows += len(records)
        if self._rows >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=self._rows)
        self._waiting, self._rows = [], 0


def _array(column: Column, records: Sequence[Record]) -> Any:
    values = [column.value(record) for record in records]
    match column.kind:
        case Kind.DOLLARS:
            values = [None if nanos is None else Decimal(nanos).scaleb(-9) for nanos in values]
        case Kind.JSON:
            values = [None if value is None else json_text(value) for value in values]
        case _:
            pass
    return pa.array(values, _TYPES[column.kind])
