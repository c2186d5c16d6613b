"""Sums over the wire; what they add up to is in tests/stores/sums_conformance.py."""

from typing import Any

import pytest

from headgate.admin.sums import MOST_STEPS
from headgate.records import Bill, Ending
from headgate.stores.summary import SUMS
from tests.admin.serving import NOON_NS, Api, served
from tests.stores.examples import a_record

MINUTE_NS = 60 * 1_000_000_000
NOON = "2025-11-01T12:26:40Z"
"""NOON_NS on the wire; it lies 26 minutes and 40 seconds after the hour."""


async def spend(api: Api) -> None:
    """Three exchanges of two models, in two minutes."""
    for n, (model, cost, ending) in enumerate(
        [("a", 1_000_000_000, Ending.COMPLETE), ("b", 5, Ending.REFUSED), ("a", 2, Ending.COMPLETE)]
    ):
        api.store.append(
            a_record(f"ex_{n}", served_model=model, started_at_ns=NOON_NS - n * MINUTE_NS,
                     ending=ending, status=429 if ending is Ending.REFUSED else 200,
                     bill=Bill(cost_nanos=cost))
        )  # fmt: skip


async def test_a_series_has_a_row_or_null_for_each_start() -> None:
    async with served() as api:
        await spend(api)
        got = (
            await api("GET", "/series?by=model&step=minute&since=2025-11-01T12:24:30Z&until=2025-11-01T12:26:10Z")
        ).body
        assert got["starts"] == [f"2025-11-01T12:{minute}:00Z" for minute in (24, 25, 26)]
        assert (got["since"], got["until"]) == ("2025-11-01T12:24:00Z", "2025-11-01T12:27:00Z")
        assert (got["by"], got["step"]) == ("model", "minute")
        a, b = got["groups"]
        assert (a["name"], a["others"], b["name"], b["others"]) == ("a", False, "b", False)
        assert [row and (row["exchanges"], row["cost_usd"]) for row in a["rows"]] == [
            (1, "0.000000002"), None, (1, "1.00"),
        ]  # fmt: skip
        assert [row and row["cost_nanos"] for row in b["rows"]] == [None, 5, None]


async def test_without_by_there_is_one_group_and_the_last_day_by_the_hour() -> None:
    async with served() as api:
        await spend(api)
        got = (await api("GET", "/series")).body
        assert (got["by"], got["step"], len(got["starts"]), got["starts"][-1]) == (
            None, "hour", 24, "2025-11-01T12:00:00Z",
        )  # fmt: skip
        (group,) = got["groups"]
        assert (group["name"], group["others"], group["rows"][-1]["exchanges"]) == (None, False, 3)
        assert set(SUMS) < group["rows"][-1].keys()


async def test_only_the_sums_asked_for_and_the_others_as_one() -> None:
    async with served() as api:
        await spend(api)
        got = (await api("GET", "/series?by=model&step=day&top=1&sums=cost_nanos,errors")).body
        assert [(group["name"], group["others"], group["rows"][-1]) for group in got["groups"]] == [
            ("a", False, {"cost_nanos": 1_000_000_002, "cost_usd": "1.000000002", "errors": 0}),
            (None, True, {"cost_nanos": 5, "cost_usd": "0.000000005", "errors": 1}),
        ]
        assert len(got["starts"]) == 30


async def test_one_group_by_its_name() -> None:
    async with served() as api:
        await spend(api)
        (group,) = (await api("GET", "/series?by=model&name=b&step=day")).body["groups"]
        assert (group["name"], group["rows"][-1]["cost_nanos"]) == ("b", 5)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("step=second", "step"),
        ("by=day", "by"),
        ("top=0", "top"),
        ("name=x", "name"),
        ("sums=cost_usd", "sums"),
        ("sums=,", "sums"),
        ("since=2025-11-01T13:00:00Z", "since"),
        ("since=2025-11-01T12:00:00Z&until=2025-11-01T12:00:00Z", "since"),
        ("step=minute&since=2025-10-01T12:00:00Z", "since"),
        ("since=1969-01-01T12:00:00Z", "since"),
    ],
)
async def test_what_cannot_be_is_told(query: str, param: str) -> None:
    async with served() as api:
        got = await api("GET", f"/series?{query}")
        assert (got.status, got.error["param"]) == (400, param)


async def test_as_many_steps_as_can_be_and_no_more() -> None:
    async with served() as api:
        hours = "step=hour&until=2025-11-01T00:00:00Z&since="
        assert len((await api("GET", f"/series?{hours}2025-08-30T12:00:00Z")).body["starts"]) == MOST_STEPS
        assert (await api("GET", f"/series?{hours}2025-08-30T11:00:00Z")).status == 400


async def test_usage_of_a_span() -> None:
    async with served() as api:
        await spend(api)
        got: Any = (await api("GET", f"/usage?by=model&since=2025-11-01T12:25:00Z&until={NOON}")).body
        assert [(row["model"], row["exchanges"], row["cost_usd"]) for row in got["rows"]] == [("b", 1, "0.000000005")]
        assert (got["since"], got["until"]) == ("2025-11-01T12:25:00Z", NOON)


async def test_records_by_their_ending_and_mark() -> None:
    async with served() as api:
        await spend(api)
        found = {
            query: [record["exchange_id"] for record in (await api("GET", f"/records?{query}")).body["data"]]
            for query in ("ending=refused", "mark=failed", "mark=unmetered", f"until={NOON}", "ending=complete&limit=1")
        }
        assert found == {
            "ending=refused": ["ex_1"], "mark=failed": ["ex_1"], "mark=unmetered": [],
            f"until={NOON}": ["ex_1", "ex_2"], "ending=complete&limit=1": ["ex_0"],
        }  # fmt: skip
        assert (await api("GET", "/records?mark=odd")).error["param"] == "mark"
