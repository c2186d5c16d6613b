"""Records as a download, over real HTTP."""

import asyncio
from collections.abc import Sequence

import aiohttp
import pytest

from headgate.admin.export import PAGE, Format, head
from headgate.errors import Busy
from headgate.records import Record, Wanted
from headgate.stores.memory import MemoryStore
from headgate.wiring_store import StoreRecords
from tests.admin.exported import csv_rows, json_rows, record_of
from tests.admin.serving import KEY, Api, served
from tests.stores.examples import NOON, a_record

Place = tuple[int, str] | None

HEADERS = {"authorization": f"Bearer {KEY}"}


def fill(api: Api, number: int) -> list[Record]:
    records = [a_record(f"ex_{n:05}", started_at_ns=NOON + n, key=f"team-{n % 2}") for n in range(number)]
    for record in records:
        api.store.append(record)
    return records[::-1]


@pytest.mark.parametrize("number", [0, 1, PAGE, 2 * PAGE + 1])
async def test_a_download_is_all_records_newest_first(number: int) -> None:
    async with served() as api:
        records = fill(api, number)
        got = await api("GET", "/records/export?format=csv")
        assert got.status == 200
        assert got.headers["content-type"] == "text/csv; charset=utf-8"
        assert got.headers["content-disposition"] == 'attachment; filename="headgate-records-20251101T122640Z.csv"'
        assert got.headers["cache-control"] == "no-store"
        assert [record_of(row) for row in csv_rows(got.body)] == records
        lines = await api("GET", "/records/export?format=jsonl")
        assert lines.headers["content-type"] == "application/jsonl"
        assert [record_of(row) for row in json_rows(lines.body)] == records


async def test_the_filters_of_records_count() -> None:
    async with served() as api:
        records = fill(api, 10)
        got = await api("GET", "/records/export?key=team-1&since=2025-11-01T12:00:00Z&format=jsonl")
        assert [record_of(row) for row in json_rows(got.body)] == [r for r in records if r.key == "team-1"]
        got = await api("GET", "/records/export?until=2025-11-01T12:00:00Z&format=jsonl")
        assert got.body == ""
        api.store.append(a_record("ex_bad", status=502))
        for mark in ("mark=failed", "ending=complete&mark=failed"):
            (row,) = json_rows((await api("GET", f"/records/export?{mark}&format=jsonl")).body)
            assert row["exchange_id"] == "ex_bad"
        assert (await api("GET", "/records/export?format=xml")).error["param"] == "format"
        assert (await api("GET", "/records/export?limit=5")).error["param"] == "limit"


async def test_head_tells_without_walking() -> None:
    async with served(reader_of=Counting) as api:
        fill(api, 3 * PAGE)
        got = await api.raw("HEAD", "/records/export")
        assert (got.status, got.body) == (200, "")
        assert Counting.asked == 1


class Counting(StoreRecords):
    """Counts the pages that it is asked for."""

    asked = 0

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        Counting.asked = 0

    async def page(self, wanted: Wanted, limit: int, before: Place = None) -> tuple[Sequence[Record], Place]:
        Counting.asked += 1
        return await super().page(wanted, limit, before)


class Endless(Counting):
    """Has a page for whoever asks."""

    async def page(self, wanted: Wanted, limit: int, before: Place = None) -> tuple[Sequence[Record], Place]:
        await super().page(wanted, limit, before)
        await asyncio.sleep(0)
        return [a_record(f"ex_{n}") for n in range(limit)], None


class Barren(Counting):
    """Looks and looks, and finds nothing."""

    async def page(self, wanted: Wanted, limit: int, before: Place = None) -> tuple[Sequence[Record], Place]:
        await super().page(wanted, limit, before)
        await asyncio.sleep(0)
        return [], (NOON - Counting.asked, "ex_0")


class Failing(Counting):
    """Has a page, or none, and then trouble."""

    good = 1

    async def page(self, wanted: Wanted, limit: int, before: Place = None) -> tuple[Sequence[Record], Place]:
        await super().page(wanted, limit, before)
        if Counting.asked > self.good:
            raise Busy("The database does not answer.")
        return [a_record(f"ex_{n}") for n in range(limit)], None


class Away(Failing):
    """Has trouble at once."""

    good = 0


async def test_it_ends_when_the_client_leaves_and_reads_no_further_than_it_takes() -> None:
    async with served(reader_of=Endless) as api:
        async with api.http.get(f"{api.root}/records/export", headers=HEADERS) as answer:
            assert (await answer.content.readline()) == head(Format.CSV)
            await _still()  # the client takes no more: the buffers are full, and the walk waits
        await _still()
        asked = Counting.asked
        await asyncio.sleep(0.3)
        assert Counting.asked == asked


async def test_it_ends_when_the_client_leaves_although_nothing_is_found() -> None:
    async with served(reader_of=Barren) as api:
        async with api.http.get(f"{api.root}/records/export", headers=HEADERS) as answer:
            assert (answer.status, await answer.content.readline()) == (200, head(Format.CSV))
            while Counting.asked < 10:
                await asyncio.sleep(0.01)
        await _still()


async def test_records_that_are_hard_to_find_are_all_there() -> None:
    class Sparse(Counting):
        """Every other page is empty."""

        async def page(self, wanted: Wanted, limit: int, before: Place = None) -> tuple[Sequence[Record], Place]:
            found, _ = await super().page(wanted, limit, before)
            if Counting.asked % 2:
                return [], before or (NOON * 2, "ex_9")
            return found, None

    async with served(reader_of=Sparse) as api:
        records = fill(api, 2 * PAGE + 1)
        lines = await api("GET", "/records/export?format=jsonl")
        assert [record_of(row) for row in json_rows(lines.body)] == records


async def _still() -> None:
    """Until no page is asked for any more."""
    async with asyncio.timeout(60):
        asked = -1
        while asked != Counting.asked:
            asked = Counting.asked
            await asyncio.sleep(0.3)


async def test_trouble_at_the_beginning_is_an_error() -> None:
    async with served(reader_of=Away) as api:
        assert (await api.raw("GET", "/records/export")).status == 503


async def test_trouble_later_is_a_broken_file_and_never_a_short_one() -> None:
    async with (
        served(reader_of=Failing) as api,
        api.http.get(f"{api.root}/records/export?format=jsonl", headers=HEADERS) as answer,
    ):
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_an_export_has_a_key_like_everything_else() -> None:
    async with served() as api:
        assert (await api.raw("GET", "/records/export", key=None)).status == 401
