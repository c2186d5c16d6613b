"""Reads server-sent events as a browser does."""

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp


class Event(NamedTuple):
    """One event; the data as JSON."""

    name: str
    data: Any


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a response, until it ends."""
    name, data = "message", ""
    async for line in answer.content:
        text = line.decode().removesuffix("\n")
        field, _, value = text.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data += value
        elif not text:
            if data:
                yield Event(name, json.loads(data))
            name, data = "message", ""


async def first(answer: aiohttp.ClientResponse, name: str) -> Any:
    """The data of the next event of that name."""
    async for event in events(answer):
        if event.name == name:
            return event.data
    raise AssertionError(f"the stream ended without '{name}'")
