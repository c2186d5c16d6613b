"""The questions about records, in the SQL that SQLite and PostgreSQL share: they say what `records.py` says."""

from collections.abc import Mapping

from headgate.records import INFERRED, UNPRICED, UNSENT, UNSERVED, Mark
from headgate.stores.rows import COLUMNS, COUNTS
from headgate.stores.summary import GroupBy
from headgate.usage import Basis

# ruff: noqa: S608 - the names are our own; values are always parameters

RECORD = f"SELECT {', '.join(COLUMNS)} FROM records"
"""Rows for `rows.from_row`."""

# NULLIF: an empty name is no name, here as in summary.py
_MODEL = "coalesce(nullif(served_model, ''), model_asked)"
GROUPS: Mapping[GroupBy, str] = {
    GroupBy.MODEL: _MODEL,
    GroupBy.PROVIDER: "provider",
    GroupBy.KEY: "key",
    GroupBy.ACCOUNT: "account",
}
"""What groups of records are named by."""


def _one_of(column: str, values: frozenset[str]) -> str:
    names = ", ".join(f"'{value}'" for value in sorted(values))
    return f"{column} IN ({names})"


def _flagged(start: str) -> str:
    """Whether one of the flags, a JSON array, begins like this."""
    # Inside a text a quote has a backslash before it, never a bracket or comma. SQLite's LIKE would ignore case.
    found = (f"flags <> replace(flags, '{before}\"{start}', '')" for before in "[,")
    return f"({' OR '.join(found)})"


_SENT = f"NOT {_one_of('ending', UNSENT)}"
_CANCELLED = "(ending = 'client_left' OR ending = 'never_sent' AND status = 499)"
NOT_WELL = "ending <> 'complete'"
"""Of an index as well: most exchanges end well."""
MARKS: Mapping[Mark, str] = {
    Mark.FAILED: f"(NOT {_CANCELLED} AND (status >= 400 OR {_one_of('ending', UNSERVED)}))",
    Mark.CANCELLED: _CANCELLED,
    Mark.ESTIMATED: f"(counted AND {_one_of('basis', INFERRED)})",
    Mark.UNMETERED: f"(billable AND basis = '{Basis.NONE}' AND {_SENT})",
    Mark.UNPRICED: f"((billable OR counted) AND {_SENT} AND (cost_nanos IS NULL OR {_flagged(UNPRICED)}))",
}
"""Conditions, word for word those of the indexes: else an index is not used."""


def _excess(name: str) -> str:
    """What `usage.excess` says."""
    reported = f"coalesce({name}, 0)"
    more = f"estimated_{name} > {reported} THEN estimated_{name} - {reported}"
    return f"CASE WHEN {more} WHEN estimated_{name} IS NOT NULL THEN 0 END"


SUMMED = (
    "count(*)",
    *(f"count(*) FILTER (WHERE {MARKS[mark]})" for mark in Mark),
    # PostgreSQL sums 64-bit integers as decimals.
    *(
        f"CAST(sum({number}) FILTER (WHERE counted) AS BIGINT)"
        for number in (*COUNTS, _excess("input_tokens"), _excess("output_tokens"))
    ),
    *(f"CAST(sum({name}) AS BIGINT)" for name in ("cost_nanos", "charge_nanos")),
)
"""What records add up to, legs left out: one expression for each of summary.SUMS, in its order."""


def newest(since: str, limit: str, arrival: str) -> str:
    """The newest records as rows; `arrival` is the column that tells which of two of the same moment came later."""
    return f"{RECORD} WHERE started_at_ns >= {since} ORDER BY started_at_ns DESC, {arrival} DESC LIMIT {limit}"


def arrived(arrival: str, after: str, among: str, limit: str) -> str:
    """Rows with the number of their arrival before them: those among some numbers, and `limit` at most above one."""
    numbered = f"SELECT {arrival} AS number, {', '.join(COLUMNS)} FROM records WHERE {arrival}"
    return (
        f"SELECT * FROM ({numbered} {among}) AS missed UNION ALL "
        f"SELECT * FROM ({numbered} > {after} ORDER BY {arrival} LIMIT {limit}) AS fresh ORDER BY number"
    )


def last_arrivals(arrival: str, limit: str) -> str:
    """The highest numbers of arrival, at most so many."""
    return f"SELECT {arrival} FROM records ORDER BY {arrival} DESC LIMIT {limit}"


def older_than(before: str) -> str:
    """How many records began before then, and when the first of them did."""
    return f"SELECT count(*), min(started_at_ns) FROM records WHERE started_at_ns < {before}"


def trail(response_id: str, arrival: str) -> str:
    """The provider of the newest exchange of a response id, and whether any of them was counted."""
    return f"""
        SELECT provider, EXISTS (SELECT 1 FROM records WHERE response_id = {response_id} AND counted)
        FROM records WHERE response_id = {response_id} AND provider IS NOT NULL
        ORDER BY started_at_ns DESC, {arrival} DESC LIMIT 1
    """
