"""Who may serve a request."""

from dataclasses import replace

from headgate.records import Trail
from headgate.routing.aliases import Alias, Target, Tier

from .fakes import BEARER, DONE, FakeClient, deployment, ok, post, stage

A, B = (replace(deployment("openai"), name=name) for name in "ab")
ALIAS = Alias("gpt-4o-mini", (Tier((Target(A, "gpt-5"),)), Tier((Target(B, "gpt-4o-mini"),))))
"""Of the name of a model that there is."""
BODY = b'{"model":"gpt-4o-mini","messages":[]}'


async def test_an_alias_comes_before_patterns_and_in_any_case() -> None:
    scene = stage(ok(DONE), ok(DONE), deployments=[deployment("openai"), A, B], aliases=[ALIAS])
    record = await scene.play(post("/v1/chat/completions", BODY), FakeClient())
    assert (record.provider, record.attempts[0].model) == ("a", "gpt-5")
    record = await scene.play(post("/v1/chat/completions", BODY.replace(b"gpt-4o", b"GPT-4o")), FakeClient())
    assert record.provider == "a"


async def test_who_names_a_provider_gets_it_with_the_aliass_model_for_it() -> None:
    scene = stage(ok(DONE), ok(DONE), deployments=[deployment("openai"), A, B], aliases=[ALIAS])
    record = await scene.play(post("/v1/chat/completions", BODY, (b"x-provider", b"a")), FakeClient())
    assert (record.provider, record.attempts[0].model) == ("a", "gpt-5")
    record = await scene.play(post("/v1/chat/completions", BODY, (b"x-provider", b"openai")), FakeClient())
    assert (record.provider, record.attempts[0].model) == ("openai", "gpt-4o-mini")
    prefixed = BODY.replace(b"gpt-4o", b"b/gpt-4o")
    scene = stage(ok(DONE), deployments=[deployment("openai"), A, B], aliases=[ALIAS])
    assert (await scene.play(post("/v1/chat/completions", prefixed), FakeClient())).provider == "b"


async def test_a_key_is_bound_by_the_aliass_name() -> None:
    scene = await stage(ok(DONE), deployments=[A, B], aliases=[ALIAS]).with_key(models=("gpt-4o-mini",))
    assert (await scene.play(post("/v1/chat/completions", BODY, BEARER), FakeClient())).status == 200
    scene = await stage(ok(DONE), deployments=[A, B], aliases=[ALIAS]).with_key(models=("gpt-5",))
    assert (await scene.play(post("/v1/chat/completions", BODY, BEARER), FakeClient())).status == 403


async def test_a_key_is_bound_to_its_providers() -> None:
    scene = await stage(ok(DONE), deployments=[A, B], aliases=[ALIAS]).with_key(providers=("b",))
    assert (await scene.play(post("/v1/chat/completions", BODY, BEARER), FakeClient())).provider == "b"
    scene = await stage(deployments=[A, B], aliases=[ALIAS]).with_key(providers=("c",))
    assert (await scene.play(post("/v1/chat/completions", BODY, BEARER), FakeClient())).status == 403


async def test_an_answer_goes_on_where_the_one_before_it_is() -> None:
    scene = stage(ok(DONE), deployments=[A, B], aliases=[ALIAS])
    scene.gateway.trails.note("resp_1", Trail("b", counted=True))
    body = b'{"model":"gpt-4o-mini","input":"more","previous_response_id":"resp_1"}'
    assert (await scene.play(post("/v1/responses", body), FakeClient())).provider == "b"
