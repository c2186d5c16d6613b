import pytest

from headgate.gateway.locate import Place, locate
from headgate.gateway.record import Trails, counts, may_cost
from headgate.gateway.request import Request
from headgate.records import Trail
from headgate.stores.memory import MemoryRecordLog
from headgate.usage import Basis, Reading, Usage

CREATE = locate(Request("POST", "/v1/responses", b"", [], b""))
POLL = locate(Request("GET", "/v1/responses/resp_1", b"", [], b""))
FREE = locate(Request("POST", "/v1/responses/input_tokens", b"", [], b""))


def reading(basis: Basis) -> Reading:
    return Reading(Usage(output_tokens=1), basis, response_id="resp_1")


@pytest.mark.parametrize(
    ("place", "basis", "trail", "expected"),
    [
        (CREATE, Basis.REPORTED, None, True),
        (CREATE, Basis.PARTIAL, None, True),
        (CREATE, Basis.ESTIMATED, None, True),
        (CREATE, Basis.NONE, None, False),
        (POLL, Basis.REPORTED, None, False),
        (POLL, Basis.REPORTED, Trail("openai", counted=False), True),
        (POLL, Basis.REPORTED, Trail("openai", counted=True), False),
        (POLL, Basis.PARTIAL, Trail("openai", counted=False), False),
        (Place("/audio/speech"), Basis.NONE, None, False),
    ],
)
def test_what_counts(place: Place, basis: Basis, trail: Trail | None, expected: bool) -> None:
    trails = Trails(MemoryRecordLog())
    if trail is not None:
        trails.note("resp_1", trail)
    assert counts(place, reading(basis), trails) is expected


@pytest.mark.parametrize(
    ("method", "place", "expected"),
    [
        ("POST", CREATE, True),
        ("GET", POLL, False),
        ("POST", FREE, False),
        ("POST", Place("/audio/speech"), True),
        ("GET", Place("/files"), False),
        ("POST", None, True),
    ],
)
def test_what_may_cost(method: str, place: Place | None, expected: bool) -> None:
    assert may_cost(Request(method, "/", b"", [], b""), place) is expected


def test_free_operations_have_no_reading_to_count() -> None:
    assert not counts(FREE, Reading(), Trails(MemoryRecordLog()))


def test_what_was_counted_stays_counted() -> None:
    trails = Trails(MemoryRecordLog())
    trails.note("resp_1", Trail("openai", counted=True))
    trails.note("resp_1", Trail("openai", counted=False))
    assert trails.find("resp_1") == Trail("openai", counted=True)


def test_memory_is_bounded() -> None:
    trails = Trails(MemoryRecordLog())
    for n in range(10_001):
        trails.note(f"resp_{n}", Trail("openai", counted=True))
    assert trails.find("resp_0") is None
    assert trails.find("resp_10000") is not None
