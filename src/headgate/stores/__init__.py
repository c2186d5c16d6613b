"""Where everything is kept: the only home of SQL.

A store is a RecordLog, a Ledger, a Directory and an AuditLog in one database.

    memory.py            MemoryStore: dictionaries, for tests and for mounting headgate in another application
    sqlite.py            SqliteStore: one file; `postgres.py` is the same on a server

In one file:

    writer.py            the one thread that writes: a queue, one transaction for whatever is queued
    file_sqlite.py       SqliteFile: the file, open for writing; records, commands and tasks in one transaction
    ledger_sqlite.py     the ledger's SQL: what commands touch, as Books, and what is asked about it
    directory_sqlite.py  that of virtual keys and budgets
    queries.py           SqliteRecords: reading it, also from another process; Reader: reading it without waiting
    schema.py            the tables, as numbered migrations
    rollups_sqlite.py    keeping roll-ups, and asking them
    spill.py             what could not be written before a stop, until the next start

On a server:

    postgres.py          PostgresStore, with the other files of that name
    postgres_reading.py  PostgresReader: reading it, and nothing else

For all:

    rows.py, ledger_rows.py, directory_rows.py   values as rows, and back
    records_sql.py       the questions about records
    audit_rows.py, audit_sql.py, audit_paging.py   the audit log's rows, questions and pages; audit_sqlite.py,
                         audit_postgres.py and audit_memory.py are what the three stores make of them
    storable.py          what a database can keep
    summary.py           UsageRow: what the records of a model, provider, key or day add up to
    spans.py             minutes, hours, days, and how a span is covered by them
    series.py            sums step by step, laid out for showing
    rollups.py           roll-ups of records, and the questions about sums
    rolling.py           adding records to the roll-ups; removing old records
    searching.py         finding a page of records
    entry_sums.py        what entries add up to, kept as far as it goes

`tests/stores/conformance.py`, `ledger_conformance.py`, `directory_conformance.py` and
`audit_conformance.py` hold every store to the same behaviour.
"""
