"""What follows from the settings."""

import time
from pathlib import Path

from headgate.config import load, price_data
from headgate.pricing.book import PriceBook
from headgate.providers import registry
from headgate.providers.base import Deployment
from headgate.routing.aliases import Target
from headgate.wiring_edition import _context_of, make_redactor, new_exchange_id


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    ids = [new_exchange_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [i[:15] for i in ids] == sorted(i[:15] for i in ids)


def test_what_the_settings_hold_is_known_for_secrets(tmp_path: Path) -> None:
    text = """
        database = "postgresql://headgate:a%20password%20of%20Postgres@db.example/books?sslpassword=of-a-client-key"
        [keys]
        ci = "a gateway key of theirs"
        [admin.keys]
        ops = "an admin key of theirs"
        [access]
        secret = "what digests are made with"
        [metrics]
        key = "a key that reads metrics"
        [providers.bedrock]
        options = { region = "us-east-1" }
        secrets = { access_key_id = "an-access-key-id", secret_access_key = "a-secret-access-key" }
        [providers.openai]
        api_key = "a-providers-own-key"
        [tracing]
        endpoint = "https://ours:collectors-password@otlp.example"
        headers = { authorization = "Bearer a-key-of-the-collector", x-team-key = "another-key-of-its" }
        [audit]
        redact = ['project [a-z]+']
    """
    path = tmp_path / "headgate.toml"
    path.write_text(text)
    said = ["a gateway key of theirs", "an admin key of theirs", "what digests are made with",
            "a key that reads metrics", "an-access-key-id", "a-secret-access-key", "a-providers-own-key",
            "a%20password%20of%20Postgres", "a password of Postgres", "of-a-client-key", "collectors-password",
            "Bearer a-key-of-the-collector", "a-key-of-the-collector", "another-key-of-its"]  # fmt: skip
    redacted = make_redactor(load(path, {})).redact(" | ".join([*said, "project x"]), 1_000)
    assert redacted.text == " | ".join(["[credential]"] * len(said) + ["[redacted]"])


def test_the_price_book_knows_contexts() -> None:
    book, provider = PriceBook.from_json(price_data()), registry.by_name("openai")
    deployment = Deployment("eu", provider, provider.base_url)
    price = book.find("openai", "gpt-4o-mini", time.time_ns())
    assert price is not None
    assert _context_of(book, Target(deployment, "gpt-4o-mini")) == price.context_window == 128_000
    assert _context_of(book, Target(deployment, "nobody-knows-it")) is None
