"""Records in memory: for tests, and for mounting headgate in an application that keeps no file."""

import threading
from collections.abc import Iterable

from headgate.records import Record, Trail
from headgate.stores.summary import GroupBy, UsageRow, summarise

KEPT = 100_000
"""How many records are kept before the oldest are forgotten: some 200 MB."""


class MemoryRecordLog:
    """A RecordLog that forgets when the process ends. Thread-safe."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._by_response: dict[str, list[Record]] = {}

    def append(self, record: Record) -> None:
        """Keep a record; one whose exchange id is there already is passed over."""
        with self._lock:
            if record.exchange_id in self._records:
                return
            self._records[record.exchange_id] = record
            if record.reading.response_id is not None:
                self._by_response.setdefault(record.reading.response_id, []).append(record)
            if len(self._records) > self._kept:
                self._forget(next(iter(self._records)))

    @property
    def accepting(self) -> bool:
        """Always."""
        return True

    def trail(self, response_id: str) -> Trail | None:
        """The provider of the newest exchange of that response id, and whether any of them was counted."""
        with self._lock:
            own = _newest_first(self._by_response.get(response_id, ()))
        counted = any(record.counted for record in own)
        return next((Trail(record.provider, counted) for record in own if record.provider is not None), None)

    def get(self, exchange_id: str) -> Record | None:
        """The record of an exchange."""
        with self._lock:
            return self._records.get(exchange_id)

    def records(self, since_ns: int | None = None, limit: int = 100) -> list[Record]:
        """The newest records, newest first; `since_ns`, since the Unix epoch, leaves out what began before it."""
        return _newest_first(self._since(since_ns))[:limit]

    def usage(self, since_ns: int | None, by: GroupBy) -> list[UsageRow]:
        """The sums over all records, or those since `since_ns`, one row for each group."""
        return summarise(self._since(since_ns), by)

    def close(self) -> None:
        """Nothing is left to write."""

    def _since(self, since_ns: int | None) -> list[Record]:
        with self._lock:
            return [record for record in self._records.values() if record.started_at_ns >= (since_ns or 0)]

    def _forget(self, exchange_id: str) -> None:
        response_id = self._records.pop(exchange_id).reading.response_id
        if response_id is not None:
            self._by_response[response_id].pop(0)  # both are in the order of arrival
            if not self._by_response[response_id]:
                del self._by_response[response_id]


def _newest_first(arrived: Iterable[Record]) -> list[Record]:
    return sorted(arrived, key=lambda record: record.started_at_ns)[::-1]
