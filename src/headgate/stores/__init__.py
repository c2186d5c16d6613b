"""Where records are kept: the only home of SQL.

    memory.py    MemoryRecordLog: a dictionary, for tests and for mounting headgate in another application
    sqlite.py    SqliteRecordLog: a queue, one writer thread, one transaction for whatever is queued
    table.py     RecordTable: the database file, open for writing; insert rows, durably and once
    queries.py   SqliteRecords: reading it, also from another process while a gateway writes
    summary.py   UsageRow: what the records of a model, provider, key or day add up to
    schema.py    the tables, as numbered migrations
    rows.py      a Record as a row, and back
    spill.py     records that could not be written before a stop, until the next start

`tests/stores/conformance.py` holds every store to the same behaviour.
"""
