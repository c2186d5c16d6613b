"""The questions about the audit log, in the SQL that SQLite and PostgreSQL share: they say what `audit/` says.

`sign` begins the database's numbered placeholders, "?" or "$"; `find` is its function for the place of a text in
another, "instr" or "strpos". LOWER folds A to Z alone: in SQLite always, in PostgreSQL for columns of the collation C.
"""

from collections.abc import Sequence
from typing import Any

from headgate.audit.deeds import DeedsWanted, lowered
from headgate.audit.transcripts import TranscriptsWanted
from headgate.stores.audit_rows import DEED, HEADING, TRANSCRIPT

# ruff: noqa: S608 - the names are our own; values are always parameters

TRANSCRIPT_OF = f"SELECT {', '.join(TRANSCRIPT)} FROM transcripts WHERE exchange_id = "
"""A placeholder follows."""


class _Question:
    """The conditions of a query, and the values of its placeholders."""

    def __init__(self, sign: str, find: str) -> None:
        self._sign, self._find = sign, find
        self.values: list[Any] = []
        self.conditions = ["TRUE"]

    def given(self, value: Any) -> str:
        """A placeholder for a value."""
        self.values.append(value)
        return f"{self._sign}{len(self.values)}"

    def where(self, condition: str, value: Any) -> None:
        """Add a condition that ends in a placeholder, unless the value is None."""
        if value is not None:
            self.conditions.append(f"{condition} {self.given(value)}")

    def holds(self, columns: Sequence[str], text: str) -> str:
        """Whether one of the columns holds the text."""
        sought = self.given(lowered(text))
        return f"({' OR '.join(f'{self._find}(lower({column}), {sought}) > 0' for column in columns)})"

    @property
    def all(self) -> str:
        return " AND ".join(self.conditions)


def deeds(wanted: DeedsWanted, limit: int, before: int | None, sign: str, find: str) -> tuple[str, list[Any]]:
    """The deeds that `DeedsWanted.fits`, as rows with their serial numbers, and the values of the placeholders."""
    question = _Question(sign, find)
    question.where("serial <", before)
    question.where("at_ns >=", wanted.since_ns)
    question.where("at_ns <", wanted.until_ns)
    for column in ("actor", "action", "subject"):
        question.where(f"{column} =", getattr(wanted, column))
    if wanted.text is not None:
        question.conditions.append(question.holds(("actor", "action", "subject", "detail"), wanted.text))
    sql = f"SELECT serial, {', '.join(DEED)} FROM deeds WHERE {question.all} ORDER BY serial DESC"
    return f"{sql} LIMIT {question.given(limit)}", question.values


def transcripts(
    wanted: TranscriptsWanted, scanned: int, before: tuple[int, str] | None, sign: str, find: str
) -> tuple[str, list[Any]]:
    """The newest `scanned` transcripts that the wish covers: rows of HEADING, and whether each holds the text."""
    question = _Question(sign, find)
    question.where("at_ns >=", wanted.since_ns)
    question.where("at_ns <", wanted.until_ns)
    if wanted.key is not None:
        key = question.given(wanted.key)
        question.conditions.append(f"(key = {key} OR key_id = {key})")
    if before is not None:
        question.conditions.append(f"(at_ns, exchange_id) < ({question.given(before[0])}, {question.given(before[1])})")
    order = "ORDER BY at_ns DESC, exchange_id DESC"
    window = f"SELECT exchange_id FROM transcripts WHERE {question.all} {order} LIMIT {question.given(scanned)}"
    holds = "TRUE" if wanted.text is None else question.holds(("request_text", "response_text"), wanted.text)
    sql = f"SELECT {', '.join(HEADING)}, {holds} FROM transcripts WHERE exchange_id IN ({window}) {order}"
    return sql, question.values


def insert(table: str, columns: Sequence[str], sign: str) -> str:
    """Insert a row, or pass it over if it is there."""
    values = ", ".join(f"{sign}{n}" for n, _ in enumerate(columns, start=1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}) ON CONFLICT ({columns[0]}) DO NOTHING"


def end(sign: str) -> str:
    """Say how a deed ended: its status, subject and detail, by its id."""
    return (
        f"UPDATE deeds SET status = {sign}1, subject = {sign}2, detail = {sign}3 "
        f"WHERE deed_id = {sign}4 AND status IS NULL"
    )


def prune(sign: str, *, returning: str = "") -> str:
    """Remove the oldest transcripts that began before a time, at most so many."""
    oldest = f"SELECT exchange_id FROM transcripts WHERE at_ns < {sign}1 ORDER BY at_ns, exchange_id LIMIT {sign}2"
    return f"DELETE FROM transcripts WHERE exchange_id IN ({oldest}) {returning}"
