"""What was used, as sums: by group, or step by step. The handlers of /usage and /series.

A series can be some thousands of rows, so its text is made in a thread: the event loop has streams to relay.
"""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec

from headgate.admin.handlers import Answer, Call, Desk, at_ns, given
from headgate.admin.records import Line, SeriesWanted, with_dollars
from headgate.admin.views import moment
from headgate.errors import BadRequest

MOST_STEPS = 1_500
"""A day of minutes, two months of hours, four years of days."""
_SECOND = 1_000_000_000
_STEP_NS = {"minute": 60 * _SECOND, "hour": 3_600 * _SECOND, "day": 86_400 * _SECOND}
_USUAL_STEPS = {"minute": 60, "hour": 24, "day": 30}
"""How many, where no beginning is given."""


async def get_usage(desk: Desk, call: Call) -> Answer:
    """What was used and what it cost, summed by model, provider, key, account or day."""
    query = call.query
    rows = await desk.records.summed(str(query.by), at_ns(query, "since"), at_ns(query, "until"))
    told = {"by": query.by, "since": given(query.since), "until": given(query.until)}
    return Answer(told | {"rows": [with_dollars(row) for row in rows]})


async def get_series(desk: Desk, call: Call) -> Answer:
    """What was used and what it cost, minute by minute, hour by hour or day by day."""
    query = call.query
    names = _names(given(query.sums))
    wanted = replace(_wanted(query, desk.clock_ns()), sums=names)
    found = await desk.records.series(wanted)
    unknown = (names or frozenset()).difference(found.sums)
    if unknown:
        raise BadRequest(f"`sums`: expected some of {', '.join(found.sums)}, not {min(unknown)!r}.", param="sums")

    def told() -> msgspec.Raw:
        value = {
            "by": wanted.by,
            "step": wanted.step,
            "since": moment(wanted.since_ns),
            "until": moment(wanted.until_ns),
            "starts": [moment(at) for at in range(wanted.since_ns, wanted.until_ns, _STEP_NS[wanted.step])],
            "groups": [_line(line) for line in found.lines],
        }
        return msgspec.Raw(msgspec.json.encode(value))

    return Answer(await asyncio.to_thread(told))


def _wanted(query: Any, now_ns: int) -> SeriesWanted:
    """Raises BadRequest for a span that is empty, or too long for its step."""
    step = str(query.step)
    length = _STEP_NS[step]
    until = at_ns(query, "until")
    end = -(-(now_ns if until is None else until) // length) * length
    since = at_ns(query, "since")
    first = end - _USUAL_STEPS[step] * length if since is None else since // length * length
    if first >= end:
        raise BadRequest("`since`: expected a time before `until`.", param="since")
    if (end - first) // length > MOST_STEPS:
        raise BadRequest(f"`since`: expected at most {MOST_STEPS} steps; ask for longer ones.", param="since")
    by, name = given(query.by), given(query.name)
    if name is not None and by is None:
        raise BadRequest("`name`: expected `by` as well, which says what it names.", param="name")
    return SeriesWanted(step, first, end, None if by is None else str(by), query.top, name)


def _names(sums: str | None) -> frozenset[str] | None:
    return None if sums is None else frozenset(sums.split(","))


def _line(line: Line) -> dict[str, Any]:
    rows = [None if row is None else with_dollars(row) for row in line.rows]
    return {"name": line.name, "others": line.others, "rows": rows}
