"""Which provider a line leads to, and what the attempts that failed say."""

import pytest

from headgate.dialects.base import Ask
from headgate.errors import BadRequest, HeadgateError, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.dialling import Dialling, End, Refused
from headgate.gateway.request import Opening
from headgate.gateway.socket import Refusal
from headgate.records import Ending
from headgate.routing.aliases import Alias, Target, Tier
from headgate.routing.candidates import candidates_for
from headgate.routing.health import Health, Phase
from headgate.routing.models import Route

from .fake_sockets import FakeSocket
from .fakes import deployment

A, B = Target(deployment("openai"), "a"), Target(deployment("azure"), "b")
ALIAS = Alias("smart", (Tier((A,)), Tier((B,))))
OK, BUSY, BAD = FakeSocket(), Refusal(429, [(b"retry-after", b"9")], b"slow"), Refusal(400, [], b"no")
Answer = FakeSocket | Refusal | HeadgateError


def dialling(*answers: Answer) -> Dialling:
    left = list(answers)

    async def reach(route: Route) -> End | Refused:
        answer = left.pop(0)
        if isinstance(answer, HeadgateError):
            raise answer
        if isinstance(answer, Refusal):
            return Refused(route.deployment, answer)
        return End(route.deployment, answer)

    return Dialling(reach, Opening("ex_1", 0, 0, lambda: 0), lambda: 0)


async def found(it: Dialling, health: Health) -> End | Refused:
    return await it.among(candidates_for(ALIAS, "openai.responses", Ask(), health, chance="x"))


@pytest.mark.parametrize(
    ("failure", "status", "error", "ending"),
    [
        (UpstreamUnreachable("no"), None, "upstream_unreachable", Ending.NEVER_SENT),
        (UpstreamTimeout("late"), None, "upstream_timeout", Ending.NEVER_SENT),
        (UpstreamCut("gone"), None, "upstream_connection_lost", Ending.NEVER_SENT),
        (Refusal(401, [], b""), 401, None, Ending.REFUSED),
        (BUSY, 429, None, Ending.REFUSED),
        (Refusal(503, [], b""), 503, None, Ending.REFUSED),
    ],
)
async def test_the_next_target_makes_up_for_one_that_is_not_reached(
    failure: Answer, status: int | None, error: str | None, ending: Ending
) -> None:
    it, health = dialling(failure, OK), Health()
    end = await found(it, health)
    assert isinstance(end, End)
    assert (end.deployment, end.alias, end.target, end.socket) == (B.deployment, ALIAS, B, OK)
    (tried,) = it.tried
    assert (tried.provider, tried.model, tried.status, tried.error, tried.ending, tried.cost_nanos) == (
        "openai", "a", status, error, ending, 0,
    )  # fmt: skip
    assert (health.of(A.key).failures == 1) != (failure is BUSY)
    assert (health.of(A.key).phase is Phase.COOLING) == (failure is BUSY)
    assert health.of(A.key).under_way == health.of(B.key).under_way == 0


async def test_a_line_that_stands_is_no_verdict() -> None:
    health = Health()
    for _ in range(2):
        health.failed(A.key, 0)
    assert isinstance(await found(dialling(OK), health), End)
    assert health.of(A.key).failures == 2


@pytest.mark.parametrize(
    ("answers", "told"),
    [((BUSY, UpstreamCut("gone")), BUSY), ((UpstreamCut("gone"), BUSY), BUSY), ((BAD,), BAD), ((BUSY, BAD), BAD)],
)
async def test_if_none_stands_the_last_refusal_is_told(answers: tuple[Answer, ...], told: Refusal) -> None:
    it = dialling(*answers)
    refused = await found(it, Health())
    assert isinstance(refused, Refused)
    assert refused.answer == told
    assert len(it.tried) == len(answers)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ((UpstreamUnreachable("no"), UpstreamTimeout("late")), UpstreamTimeout),
        ((BadRequest("it cannot be sent anywhere"),), BadRequest),
    ],
)
async def test_if_none_answers_that_is_told(answers: tuple[Answer, ...], error: type[HeadgateError]) -> None:
    it, health = dialling(*answers), Health()
    with pytest.raises(error):
        await found(it, health)
    assert len(it.tried) == len(answers)
    assert health.of(A.key).under_way == 0


async def test_without_an_alias_there_is_one() -> None:
    it = dialling(BUSY)
    assert await it.only(Route(A.deployment, None)) == Refused(A.deployment, BUSY)
    assert [attempt.status for attempt in it.tried] == [429]
