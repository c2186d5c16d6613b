"""The questions about records, in the SQL that SQLite and PostgreSQL share: they say what `summary.py` says."""

from headgate.stores.rows import COLUMNS, COUNTS
from headgate.stores.summary import FAILED, INFERRED, UNSENT, GroupBy
from headgate.usage import Basis

# ruff: noqa: S608 - the names are our own; values are always parameters

RECORD = f"SELECT {', '.join(COLUMNS)} FROM records"
"""Rows for `rows.from_row`."""

_GROUPS = {
    # NULLIF: an empty name is no name, here as in summary.py
    GroupBy.MODEL: "coalesce(nullif(served_model, ''), model_asked)",
    GroupBy.PROVIDER: "provider",
    GroupBy.KEY: "key",
}


def _one_of(column: str, values: frozenset[str]) -> str:
    names = ", ".join(f"'{value}'" for value in sorted(values))
    return f"{column} IN ({names})"


def _tally(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


_CANCELLED = "(ending = 'client_left' OR ending = 'never_sent' AND status = 499)"
_SUMS = ", ".join(
    (
        "count(*)",
        _tally(f"NOT {_CANCELLED} AND (status >= 400 OR {_one_of('ending', FAILED)})"),
        _tally(_CANCELLED),
        _tally(f"counted AND {_one_of('basis', INFERRED)}"),
        _tally(f"billable AND basis = '{Basis.NONE}' AND NOT {_one_of('ending', UNSENT)}"),
        # PostgreSQL sums 64-bit integers as decimals.
        *(
            f"CAST(sum({name}) FILTER (WHERE counted) AS BIGINT)"
            for name in (*COUNTS, "estimated_input_tokens", "estimated_output_tokens")
        ),
    )
)
"""One expression for each of summary.SUMS, in its order."""


def sums(by: GroupBy, day: str, since: str) -> str:
    """A row for each group of records: the group and its sums, legs left out.

    `day` is the database's own expression for the day in UTC on which an exchange began, `since` the placeholder of the
    nanosecond from which on records are summed.
    """
    return f"SELECT {_GROUPS.get(by, day)}, {_SUMS} FROM records WHERE started_at_ns >= {since} GROUP BY 1"


def with_legs(since: str) -> str:
    """The records whose legs are to be added to the sums, as rows."""
    return f"{RECORD} WHERE started_at_ns >= {since} AND legs IS NOT NULL"


def newest(since: str, limit: str, arrival: str) -> str:
    """The newest records as rows; `arrival` is the column that tells which of two of the same moment came later."""
    return f"{RECORD} WHERE started_at_ns >= {since} ORDER BY started_at_ns DESC, {arrival} DESC LIMIT {limit}"


def trail(response_id: str, arrival: str) -> str:
    """The provider of the newest exchange of a response id, and whether any of them was counted."""
    return f"""
        SELECT provider, EXISTS (SELECT 1 FROM records WHERE response_id = {response_id} AND counted)
        FROM records WHERE response_id = {response_id} AND provider IS NOT NULL
        ORDER BY started_at_ns DESC, {arrival} DESC LIMIT 1
    """
