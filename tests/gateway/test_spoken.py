"""What a turn says of its target's health. How a turn is settled is told in test_session.py."""

import json

import pytest

from headgate.dialects.conversation import Turn, conversation_in
from headgate.dialects.openai_responses import DIALECT
from headgate.gateway.request import Opening
from headgate.gateway.spoken import Pulse, legs_of, status_told
from headgate.records import Attempt, Bill, Ending
from headgate.routing.health import Health
from headgate.routing.models import Route

from .fake_sockets import create, created, event
from .fakes import deployment

KEY = ("openai", "gpt-4o-mini")


def refusal(status: int) -> bytes:
    return event("error", status=status, error={"type": "x", "message": "no"})


def heard(health: Health, frame: bytes, ending: Ending, *, client_keys: bool = False) -> None:
    """A turn of which one frame came before it ended."""
    conversation = conversation_in(DIALECT)
    assert conversation is not None
    turn = conversation.ask(create())
    assert isinstance(turn, Turn)
    conversation.send(turn)
    route = Route(deployment("openai", client_keys=client_keys), "gpt-4o-mini")
    pulse = Pulse(health, route, Opening("ex_1", 0, 0, lambda: 0))
    assert health.of(KEY).under_way == 1
    if frame:
        assert conversation.hear(frame).turn is turn
        pulse.heard(turn, frame)
    pulse.over(ending)
    assert health.of(KEY).under_way == 0


@pytest.mark.parametrize(
    ("frame", "ending", "failures"),
    [
        (created("resp_1"), Ending.COMPLETE, 0),
        (created("resp_1"), Ending.UPSTREAM_ERROR, 2),
        (created("resp_1"), Ending.UPSTREAM_CUT, 2),
        (created("resp_1"), Ending.CLIENT_LEFT, 1),
        (b"", Ending.UPSTREAM_CUT, 2),
        (b"", Ending.NEVER_SENT, 1),
        (refusal(500), Ending.REFUSED, 2),
        (refusal(429), Ending.REFUSED, 2),
        (refusal(400), Ending.REFUSED, 0),
        (event("error", error={"type": "server_error"}), Ending.REFUSED, 2),
        (event("error", error={"type": "invalid_request_error"}), Ending.REFUSED, 1),
    ],
)
def test_how_a_turn_ended_is_how_its_target_fares(frame: bytes, ending: Ending, failures: int) -> None:
    health = Health()
    health.failed(KEY, 0)
    heard(health, frame, ending)
    assert health.of(KEY).failures == failures


def test_what_a_clients_own_account_is_refused_says_nothing_of_the_target() -> None:
    health = Health()
    for status in (401, 429):
        heard(health, refusal(status), Ending.REFUSED, client_keys=True)
    assert health.of(KEY).failures == 0


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        (refusal(503), 503),
        (b'{"status":503}', None),
        (b'{"status":true,"error":{}}', None),
        (b"[]", None),
        (b"{", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_status_of_an_error_frame(frame: bytes, status: int | None) -> None:
    assert status_told(frame) == status
    assert json.loads(refusal(503))["status"] == 503


def test_an_attempt_to_connect_is_a_leg_that_cost_nothing() -> None:
    attempts = [Attempt("a", None, 0, 1), Attempt("b", 429, 1, 2)]
    assert [(leg.attempts, leg.bill) for leg in legs_of(attempts)] == [((a,), Bill(cost_nanos=0)) for a in attempts]
