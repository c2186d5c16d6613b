"""What is on offer: deployments without their secrets, and models with their prices."""

import json

import msgspec
import pytest

from headgate.admin.offer import Offer, provider_view
from headgate.admin.prices import price_of_from
from headgate.config import price_data
from headgate.pricing.book import PriceBook
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.routing.aliases import Alias, Target, Tier
from tests.admin.serving import Clock

BOOK = PriceBook.from_json(price_data())
OPENAI, GROQ = (registry.by_name(name) for name in ("openai", "groq"))


def test_a_deployment_is_told_without_its_secret() -> None:
    view = provider_view(Deployment("main", OPENAI, "https://api.openai.com/v1", Secret("sk-secret")))
    assert (view.name, view.provider, view.base_url) == ("main", "openai", "https://api.openai.com/v1")
    assert (view.has_credential, view.client_keys, view.websocket) == (True, False, True)
    assert "openai.chat" in view.dialects
    assert set(view.sockets) <= set(view.dialects)
    assert "sk-secret" not in json.dumps(msgspec.to_builtins(view))


@pytest.mark.parametrize(
    ("deployment", "has"),
    [
        (Deployment("a", OPENAI, "https://x/v1"), False),
        (Deployment("a", OPENAI, "https://x/v1", client_keys=True), False),
        (Deployment("a", OPENAI, "https://x/v1", secrets={"access_token": Secret("t")}), True),
    ],
)
def test_whether_there_is_a_credential(deployment: Deployment, has: bool) -> None:
    assert provider_view(deployment).has_credential is has


def test_a_password_in_an_address_stays_here() -> None:
    view = provider_view(Deployment("a", OPENAI, "https://me:word@gate.example:8443/v1"))
    assert view.base_url == "https://gate.example:8443/v1"


def test_without_sockets_none_are_told() -> None:
    assert provider_view(Deployment("a", OPENAI, "https://x/v1", websocket=False)).sockets == []


OFFER = Offer(
    [Deployment("main", OPENAI, "https://x/v1"), Deployment("quick", GROQ, "https://y/v1")],
    [("gpt-4o", "main"), ("quick/gpt-4o-copy", "quick"), ("Llama-3.3-70b-versatile", "quick"), ("unpriced", "main")],
    price_of_from(BOOK, Clock()),
)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["Llama-3.3-70b-versatile", "gpt-4o", "quick/gpt-4o-copy", "unpriced"]),
        ("GPT", ["gpt-4o", "quick/gpt-4o-copy"]),
        ("main  gpt", ["gpt-4o"]),
        ("llama quick", ["Llama-3.3-70b-versatile"]),
        ("nothing like it", []),
    ],
)
def test_models_are_found_by_words_of_their_names(search: str, found: list[str]) -> None:
    assert [model for model, _ in OFFER.found(search)] == found


def test_a_model_has_the_price_of_who_serves_it() -> None:
    view = OFFER.model_view("gpt-4o", "main")
    price = BOOK.find("openai", "gpt-4o", Clock()())
    assert view.prices is not None
    assert price is not None
    assert (view.provider, view.prices.provider, view.prices.model) == ("main", "openai", price.model)
    assert {rate.unit for rate in view.prices.rates} >= {"input_mtok", "output_mtok"}
    assert OFFER.model_view("unpriced", "main").prices is None


def test_a_prefix_for_routing_is_not_part_of_the_name_in_the_book() -> None:
    offer = Offer([Deployment("main", OPENAI, "https://x/v1")], [], price_of_from(BOOK, Clock()))
    assert offer.model_view("main/gpt-4o", "main").prices == offer.model_view("gpt-4o", "main").prices is not None


def test_what_cools_down_is_told_with_its_deployment() -> None:
    waits = {("main", "gpt-4o"): 1_500_000_000, ("elsewhere", "gpt-4o"): 1}
    offer = Offer([Deployment("main", OPENAI, "https://x/v1")], [], price_of_from(BOOK, Clock()), lambda: waits)
    (view,) = offer.providers()
    assert [(each.model, each.seconds) for each in view.cooling] == [("gpt-4o", 2)]
    assert OFFER.providers()[0].cooling == []


def test_an_alias_comes_first_with_its_targets_and_what_of_them_cools_down() -> None:
    main, quick = Deployment("main", OPENAI, "https://x/v1"), Deployment("quick", GROQ, "https://y/v1")
    alias = Alias("smart", (Tier((Target(main, "gpt-4o", weight=3),)), Tier((Target(quick, "llama"),))))
    waits = {("quick", "llama"): 1_500_000_000}
    prices = price_of_from(BOOK, Clock())
    offer = Offer([main, quick], [("gpt-4o", "main")], prices, lambda: waits, [alias])
    assert offer.found("") == [("smart", "headgate"), ("gpt-4o", "main")]
    assert offer.found("smart quick") == offer.found("smart") == [("smart", "headgate")]
    view = msgspec.to_builtins(offer.model_view("smart", "headgate"))
    assert view == {
        "model": "smart", "provider": "headgate", "prices": None,
        "targets": [
            {"provider": "main", "model": "gpt-4o", "weight": 3, "tier": 1, "cooling_seconds": None},
            {"provider": "quick", "model": "llama", "weight": 1, "tier": 2, "cooling_seconds": 2},
        ],
    }  # fmt: skip
    assert offer.model_view("gpt-4o", "main").targets is None
