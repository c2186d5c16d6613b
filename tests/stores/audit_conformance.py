"""What every store must do as an AuditLog. A store's test file subclasses `AuditConformance`."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.audit.deeds import Deed, DeedsWanted
from headgate.audit.transcripts import SCANNED, Body, Transcript, TranscriptsWanted
from tests.stores.factory import Store, StoreFactory

ANY, ALL = DeedsWanted(), TranscriptsWanted()
FULL = Deed(
    "deed_1", 1_000, "ops", "top_up", "account/team-a", None,
    {"amount_usd": "12.50", "note": 'Élan \u0000 \U0001f600 "quoted"', "limits": {"concurrent": None}, "tags": []},
)  # fmt: skip
SAID = Transcript(
    "ex_1", 1_000, "team a", "key_1", "openai.chat", "create", "/v1/chat/completions",
    Body('{"content": "Straße"}', 30, 23, truncated=True), Body("data: HELLO %_\\ there\n", 22, 22),
)  # fmt: skip


def a_deed(number: int, **changes: Any) -> Deed:
    return replace(Deed(f"deed_{number}", number, "ops", "top_up", "account/team-a", 201), **changes)


def a_transcript(number: int, **changes: Any) -> Transcript:
    return replace(SAID, exchange_id=f"ex_{number:06}", at_ns=number, **changes)


async def all_pages(store: Store, wanted: TranscriptsWanted, limit: int) -> tuple[list[str], int]:
    """The ids of all that is found, and on how many pages."""
    found: list[str] = []
    page = await store.transcripts(wanted, limit)
    pages = 1
    while True:
        assert len(page.found) <= limit
        found += [transcript.exchange_id for transcript in page.found]
        if page.more is None:
            return found, pages
        page = await store.transcripts(wanted, limit, page.more)
        pages += 1


_filters = st.one_of(
    st.none(), st.sampled_from(["ops", "OPS", "cli:ann", "top_up", "account/a", "key/b", "É", "é", "%"])
)
_deeds = st.lists(
    st.tuples(
        st.integers(0, 9), st.sampled_from(["ops", "cli:ann"]), st.sampled_from(["top_up", "revoke_key"]),
        st.sampled_from(["account/a", "key/b"]), st.sampled_from([None, 200, 409]),
        st.dictionaries(st.sampled_from(["note", "Élan"]), st.sampled_from(["OPS%", "é_", "x"]), max_size=2),
    ),
    max_size=12,
)  # fmt: skip
_moments = st.one_of(st.none(), st.integers(0, 10))


class AuditConformance:
    """Tests of a store; a subclass's module has the fixture `store_factory`."""

    async def test_a_deed_reads_back_as_it_was_kept(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.keep_deed(FULL)
            await store.keep_deed(replace(FULL, actor="someone else"))
            assert await store.deeds(ANY, 10) == [(1, FULL)], "a repeat is the same deed"

    async def test_how_a_deed_ended_is_said_once(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.keep_deed(FULL)
            await store.keep_deed(replace(FULL, deed_id="deed_2"))
            ended = replace(FULL, status=201, subject="key/key_1", detail={"made": "key_1"})
            await store.end_deed(replace(ended, actor="mallory", at_ns=5, action="nothing"))
            await store.end_deed(replace(FULL, status=500, detail={}))
            await store.end_deed(replace(FULL, deed_id="deed_unheard_of", status=500))
            kept = dict(await store.deeds(ANY, 10))
            assert kept == {1: ended, 2: replace(FULL, deed_id="deed_2")}, "who did what and when stays"

    async def test_deeds_come_newest_first_and_by_pages(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            deeds = [a_deed(n, at_ns=100 - n) for n in range(7)]
            for deed in deeds:
                await store.keep_deed(deed)
            found: list[tuple[int, Deed]] = []
            while page := await store.deeds(ANY, 3, found[-1][0] if found else None):
                found += page
            assert [deed for _, deed in found] == deeds[::-1], "in the order of being kept, whatever the clock says"
            assert len({serial for serial, _ in found}) == 7

    def test_deeds_are_found_as_the_rule_says(self, store_factory: StoreFactory) -> None:
        @settings(max_examples=40, deadline=None)
        @given(_deeds, st.tuples(_moments, _moments, _filters, _filters, _filters, _filters))
        def agrees(rows: list[Any], asked: tuple[Any, ...]) -> None:
            deeds, wanted = [Deed(f"deed_{n}", *row) for n, row in enumerate(rows)], DeedsWanted(*asked)

            async def run() -> None:
                await store_factory.start_anew()
                async with store_factory.open_store() as store:
                    for deed in deeds:
                        await store.keep_deed(deed)
                    found = [deed for _, deed in await store.deeds(wanted, 100)]
                    assert found == [deed for deed in reversed(deeds) if wanted.fits(deed)]

            asyncio.run(run())

        agrees()

    async def test_what_no_database_keeps_is_made_such_that_it_does(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.keep_deed(a_deed(1, actor="a\0b", subject="\ud800", detail={"n\ud800te": ["\0", 2**80]}))
            ((_, deed),) = await store.deeds(DeedsWanted(actor="a\0b"), 10)
            assert (deed.actor, deed.subject) == ("a\ufffdb", "\ufffd")
            assert deed.detail == {"n\ufffdte": ["\0", 2**80]}
            await store.keep_transcripts([replace(SAID, response=Body("\0 \udc80", 3, 3))])
            kept = await store.transcript("ex_1")
            assert kept is not None
            assert kept.response.text == "\ufffd \ufffd"
            with pytest.raises(ValueError, match="cannot be kept"):
                await store.keep_deed(a_deed(2, at_ns=2**63))

    async def test_a_transcript_reads_back_as_it_was_kept(self, store_factory: StoreFactory) -> None:
        plain = Transcript("ex_0", 5, None, None, None, None, "/p/openai/x", Body(), Body())
        async with store_factory.open_store() as store:
            await store.keep_transcripts([])
            await store.keep_transcripts([SAID, plain])
            await store.keep_transcripts([replace(SAID, key="other")])
            assert await store.transcript("ex_1") == SAID
            assert await store.transcript("ex_0") == plain
            assert await store.transcript("ex_2") is None
            page = await store.transcripts(ALL, 10)
            assert page.found == (SAID.without_texts(), plain.without_texts()), "newest first, without the texts"
            assert page.more is None

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (TranscriptsWanted(since_ns=3), [4, 3]),
            (TranscriptsWanted(until_ns=2), [1]),
            (TranscriptsWanted(key="team a"), [4, 2, 1]),
            (TranscriptsWanted(key="key_3"), [3]),
            (TranscriptsWanted(text="hello %_\\ T"), [3, 2, 1]),
            (TranscriptsWanted(text="stra\u00dfe"), [3, 2, 1]),
            (TranscriptsWanted(text="STRASSE"), []),
            (TranscriptsWanted(text="\u00c9LAN"), [4]),
            (TranscriptsWanted(text="\u00e9lan"), []),
            (TranscriptsWanted(since_ns=2, until_ns=4, key="team a", text="data"), [2]),
        ],
    )
    async def test_transcripts_are_found(
        self, store_factory: StoreFactory, wanted: TranscriptsWanted, found: list[int]
    ) -> None:
        kept = [
            a_transcript(1), a_transcript(2), a_transcript(3, key="b", key_id="key_3"),
            a_transcript(4, request=Body("\u00c9lan"), response=Body()),
        ]  # fmt: skip
        async with store_factory.open_store() as store:
            await store.keep_transcripts(kept)
            assert (await all_pages(store, wanted, 1))[0] == [f"ex_{n:06}" for n in found]
            assert (await all_pages(store, wanted, 10))[0] == [f"ex_{n:06}" for n in found]

    async def test_a_search_looks_at_so_many_at_a_time(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            count = 2 * SCANNED + 5
            await store.keep_transcripts(
                [a_transcript(n, response=Body("needle" if n in {3, SCANNED} else "hay")) for n in range(count)]
            )
            page = await store.transcripts(TranscriptsWanted(text="needle"), 10)
            assert (page.found, page.more is None) == ((), False), "none among the newest, and there is more"
            found, pages = await all_pages(store, TranscriptsWanted(text="needle"), 10)
            assert (found, pages) == ([f"ex_{n:06}" for n in (SCANNED, 3)], 3)
            found, pages = await all_pages(store, ALL, 101)
            assert (len(found), pages) == (count, 5)

    async def test_pruning_goes_by_age_and_slices_and_leaves_deeds(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.keep_deed(FULL)
            await store.keep_transcripts([a_transcript(n) for n in range(10)])
            assert await store.prune_transcripts(7, 3) == 3
            assert (await all_pages(store, ALL, 100))[0] == [f"ex_{n:06}" for n in range(9, 2, -1)], "the oldest first"
            assert await store.prune_transcripts(7, 100) == 4
            assert await store.prune_transcripts(7, 100) == 0
            assert (await all_pages(store, ALL, 100))[0] == [f"ex_{n:06}" for n in (9, 8, 7)]
            assert await store.deeds(ANY, 10) == [(1, FULL)]


class DurableAuditConformance(AuditConformance):
    """The same for a store whose database outlives it."""

    async def test_all_is_there_when_the_database_is_opened_again(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.keep_deed(FULL)
            await store.keep_transcripts([SAID])
        async with store_factory.open_store() as store:
            assert await store.deeds(ANY, 10) == [(1, FULL)]
            assert await store.transcript("ex_1") == SAID
            await store.end_deed(replace(FULL, status=200))
            assert await store.deeds(ANY, 10) == [(1, replace(FULL, status=200))]
