import json

import pytest
from msgspec.structs import replace

from headgate.audit.redaction import CREDENTIAL, MARGIN
from headgate.dialects.reading import MAX_ERROR, MAX_TEXT
from headgate.gateway.locate import Place, locate
from headgate.gateway.record import Trails, counts, named
from headgate.gateway.request import Request
from headgate.gateway.upstream import Head
from headgate.records import Trail
from headgate.stores.memory import MemoryStore
from headgate.usage import Basis, Reading, Usage

from .fakes import CHAT, JSON, FakeCall, FakeClient, deployment, post, stage

QUEUED = b'{"id":"resp_1","object":"response","status":"queued","model":"gpt-5","usage":null}'
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
async def test_what_counts(place: Place, basis: Basis, trail: Trail | None, expected: bool) -> None:
    trails = Trails(MemoryStore())
    if trail is not None:
        trails.note("resp_1", trail)
    assert await counts(place, reading(basis), trails) is expected


async def test_free_operations_have_no_reading_to_count() -> None:
    assert not await counts(FREE, Reading(), Trails(MemoryStore()))


async def test_what_was_counted_stays_counted() -> None:
    trails = Trails(MemoryStore())
    trails.note("resp_1", Trail("openai", counted=True))
    trails.note("resp_1", Trail("openai", counted=False))
    assert await trails.find("resp_1") == Trail("openai", counted=True)


async def test_memory_is_bounded() -> None:
    trails = Trails(MemoryStore())
    for n in range(10_001):
        trails.note(f"resp_{n}", Trail("openai", counted=True))
    assert await trails.find("resp_0") is None
    assert await trails.find("resp_10000") is not None


async def test_after_a_restart_the_log_knows() -> None:
    log = MemoryStore()
    scene = stage(FakeCall(Head(200, JSON), [QUEUED]))
    await scene.play(post("/v1/responses", b'{"model":"gpt-5","input":"hi","background":true}'), FakeClient())
    log.append(scene.records()[0])
    assert await Trails(log).find("resp_1") == Trail("openai", counted=False)


async def test_what_was_noted_while_the_log_was_asked_stays() -> None:
    class Slow(MemoryStore):
        async def trail(self, response_id: str) -> Trail | None:
            trails.note(response_id, Trail("openai", counted=True))
            return Trail("openai", counted=False)

    trails = Trails(Slow())
    assert await trails.find("resp_1") == Trail("openai", counted=True)


def test_results_come_under_the_id_in_their_path() -> None:
    results = locate(Request("GET", "/v1/files/file-7/content", b"", [], b""))
    told = Reading(Usage(output_tokens=1), Basis.REPORTED)
    assert named(told, results).response_id == "file-7"
    assert named(told, None).response_id is None
    assert named(replace(told, response_id="own"), results).response_id == "own"
    assert named(Reading(), results).response_id is None, "nothing was read"


@pytest.mark.parametrize(
    ("basis", "expected"), [(Basis.REPORTED, True), (Basis.PARTIAL, False), (Basis.ESTIMATED, False)]
)
async def test_of_what_goes_on_without_its_client_only_the_report_counts(basis: Basis, expected: bool) -> None:
    assert await counts(CREATE, reading(basis), Trails(MemoryStore()), deferred=True) is expected


async def test_a_credential_that_the_cut_of_an_error_goes_through_is_blotted_out() -> None:
    """Wherever in it: half of one would be known to nobody."""
    openai = deployment("openai")
    assert openai.credential is not None
    ours, theirs = openai.credential.reveal(), "a-key-of-four-plain-words"
    assert MAX_ERROR - MAX_TEXT >= MARGIN
    for secret in (ours, theirs):
        for before in range(MAX_TEXT - len(secret) - 2, MAX_TEXT + 2):
            error = json.dumps({"error": {"message": "." * before + secret + "." * 100}}).encode()
            scene = stage(FakeCall(Head(401, JSON), [error]), deployments=[openai])
            asked = post("/v1/chat/completions", CHAT, (b"authorization", b"Bearer " + theirs.encode()))
            told = (await scene.play(asked, FakeClient())).reading.in_stream_error
            assert told is not None
            assert secret[:3] not in told, told
            assert MAX_TEXT - len(secret) <= len(told) <= MAX_TEXT + len(CREDENTIAL)
