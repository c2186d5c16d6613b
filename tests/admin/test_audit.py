"""The audit log over real HTTP: filters, pages and files. What is kept is tested in test_deeds.py."""

import json
from typing import Any

from headgate.admin.audit import transcript_lines
from headgate.audit.transcripts import SCANNED, Body, Transcript, TranscriptsWanted
from headgate.stores.audit_memory import MemoryAudit
from tests.admin.serving import Api, served
from tests.stores.audit_conformance import a_deed, a_transcript

SECOND = 1_000_000_000


async def filled(api: Api, count: int) -> None:
    for n in range(count):
        actor, subject = ("ada", "bob")[n % 2], f"account/{'ab'[n // 5 % 2]}"
        await api.store.keep_deed(a_deed(n, at_ns=n * SECOND, actor=actor, subject=subject, detail={"note": f"N{n}"}))


async def deeds(api: Api, query: str) -> list[str]:
    return [deed["detail"]["note"] for deed in (await api("GET", f"/audit?{query}")).body["data"]]


async def test_deeds_are_found() -> None:
    async with served() as api:
        await filled(api, 10)
        assert await deeds(api, "since=1971-01-01T00:00:00Z") == []
        assert await deeds(api, "until=1971-01-01T00:00:00Z&actor=ada") == ["N8", "N6", "N4", "N2", "N0"]
        assert await deeds(api, "subject=account/b&actor=bob") == ["N9", "N7", "N5"]
        assert await deeds(api, "action=revoke_key") == []
        assert await deeds(api, "text=n7") == ["N7"]
        assert await deeds(api, "text=ACCOUNT/A") == ["N4", "N3", "N2", "N1", "N0"]


async def test_pages_and_the_file_have_the_same() -> None:
    async with served() as api:
        await filled(api, 1_203)
        found: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await api("GET", f"/audit?limit=500&actor=ada{cursor and '&cursor='}{cursor}")).body
            found += page["data"]
            cursor = page["next_cursor"]
        assert len(found) == 602
        got = await api("GET", "/audit/export?actor=ada&text=N")
        lines = [json.loads(line) for line in got.body.splitlines()]
        assert lines == found
        assert got.headers["content-type"] == "application/jsonl"
        assert got.headers["content-disposition"] == 'attachment; filename="headgate-audit-20251101T122640Z.jsonl"'
        assert (await api("GET", "/audit?action=export_deeds")).body["data"][0]["detail"] == {
            "actor": "ada",
            "text": "N",
        }
        assert (await api("GET", "/audit/export?actor=nobody-at-all")).body == ""


async def test_transcripts_by_pages_and_as_a_file() -> None:
    async with served() as api:
        count = SCANNED + 20
        await api.store.keep_transcripts(
            [a_transcript(n, response=Body("needle" if n == 7 else "hay", 6, 6)) for n in range(count)]
        )
        first = (await api("GET", "/transcripts?text=needle")).body
        assert first["data"] == []
        second = (await api("GET", f"/transcripts?text=needle&cursor={first['next_cursor']}")).body
        assert [row["exchange_id"] for row in second["data"]] == ["ex_000007"]
        assert second["next_cursor"] is None
        lines = (await api("GET", "/transcripts/export?text=NEEDLE")).body.splitlines()
        assert [json.loads(line)["response"]["text"] for line in lines] == ["needle"]
        assert len((await api("GET", "/transcripts/export")).body.splitlines()) == count


async def test_a_search_that_finds_nothing_can_be_given_up() -> None:
    """So the file of one is begun, and told to be at hand, after one look and not after all of them."""
    log = MemoryAudit()
    await log.keep_transcripts([a_transcript(n) for n in range(1_100)])
    assert [some async for some in transcript_lines(log, TranscriptsWanted(text="nowhere"))] == [b"", b""]


async def test_a_transcript_of_nobody_in_particular() -> None:
    plain = Transcript("ex_0", SECOND, None, None, None, None, "/p/openai/x", Body(), Body("x", 9, 1, truncated=True))
    async with served() as api:
        await api.store.keep_transcripts([plain])
        assert (await api("GET", "/records/ex_0/transcript")).body == {
            "exchange_id": "ex_0", "at": "1970-01-01T00:00:01Z", "key": None, "key_id": None, "dialect": None,
            "operation": None, "path": "/p/openai/x",
            "request": {"text": "", "bytes": 0, "kept_bytes": 0, "truncated": False},
            "response": {"text": "x", "bytes": 9, "kept_bytes": 1, "truncated": True},
        }  # fmt: skip
        (deed,) = (await api("GET", "/audit?action=get_transcript")).body["data"]
        assert (deed["actor"], deed["subject"], deed["status"]) == ("ada", "exchange/ex_0", 200)
