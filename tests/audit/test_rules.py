import pytest

from headgate.audit.rules import Rule, Said

SAID = Said("team a", "key_1", ("red", "blue"), "openai.chat", "create", "/v1/chat/completions")
NOBODY = Said(None, None, (), None, None, "/p/openai/x")


def rule(keys: str = "", tags: str = "", routes: str = "") -> Rule:
    return Rule(frozenset(filter(None, keys.split(","))), frozenset(tags.split()), tuple(routes.split()))


@pytest.mark.parametrize(
    ("one", "fits"),
    [
        (rule(keys="team a"), True),
        (rule(keys="other,key_1"), True),
        (rule(keys="team"), False),
        (rule(tags="blue"), True),
        (rule(tags="blu"), False),
        (rule(routes="openai.chat"), True),
        (rule(routes="openai.chat/create"), True),
        (rule(routes="openai.chat/other"), False),
        (rule(routes="openai"), False),
        (rule(routes="/v1/chat"), True),
        (rule(routes="/v2 /v1"), True),
        (rule(routes="/chat"), False),
        (rule(routes="/"), True),
        (rule(keys="team a", tags="green"), False),
        (rule(keys="team a", tags="red", routes="/v1/"), True),
        (rule(keys="team a", tags="red", routes="/v2/"), False),
        (rule(), False),
    ],
)
def test_all_that_is_named_has_to_fit(one: Rule, fits: bool) -> None:
    assert one.fits(SAID) is fits


def test_who_has_no_key_is_reached_by_route_alone() -> None:
    assert rule(routes="/p/").fits(NOBODY)
    assert not rule(keys="None").fits(NOBODY)
    assert not rule(routes="openai.chat").fits(NOBODY)
