"""Who may read the metrics, and what is there only where it is asked for."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from headgate.access.keys import Keys
from headgate.access.virtual import VirtualKey
from headgate.config import Settings, load
from headgate.errors import ConfigError
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.live import Live
from headgate.routing.catalogue import Catalogue
from headgate.stores.memory import MemoryStore
from headgate.telemetry.families import Standing
from headgate.wiring import build
from headgate.wiring_telemetry import Telemetry, _readers, telemetry_of

METRICS_KEY, ADMIN_KEY, GATEWAY_KEY = (
    "a key that reads metrics",
    "an admin key, long enough",
    "a gateway key, long enough",
)
LOCAL, PUBLIC = 'listen = "127.0.0.1:8080"', 'listen = "0.0.0.0:8080"\nallow_unprotected = true'
OWN_LOCAL, OWN_PUBLIC = 'listen = "127.0.0.1:0"', 'listen = "0.0.0.0:0"'


@pytest.mark.parametrize(
    ("top", "section", "more", "readers"),
    [
        (LOCAL, "", "", {"nobody"}),
        (LOCAL, "", "[access]\nrequire_keys = true", set()),
        (LOCAL, "", f'[keys]\nweb = "{GATEWAY_KEY}"', set()),
        (LOCAL, "", f'[admin.keys]\nops = "{ADMIN_KEY}"', {ADMIN_KEY}),
        (LOCAL, f'key = "{METRICS_KEY}"', "", {METRICS_KEY}),
        (LOCAL, "open = true", f'[keys]\nweb = "{GATEWAY_KEY}"', {"nobody"}),
        (PUBLIC, "", "", set()),
        (PUBLIC, "open = true", "", {"nobody"}),
        (PUBLIC, f'key = "{METRICS_KEY}"', f'[admin.keys]\nops = "{ADMIN_KEY}"', {METRICS_KEY, ADMIN_KEY}),
        (PUBLIC, OWN_LOCAL, f'[admin.keys]\nops = "{ADMIN_KEY}"', {"nobody", ADMIN_KEY}),
        (PUBLIC, f'{OWN_LOCAL}\nkey = "{METRICS_KEY}"', "", {METRICS_KEY}),
        (PUBLIC, f'{OWN_PUBLIC}\nkey = "{METRICS_KEY}"', "", {METRICS_KEY}),
        (LOCAL, f"{OWN_PUBLIC}\nopen = true", "", {"nobody"}),
    ],
)
async def test_who_may_read_the_metrics(tmp_path: Path, top: str, section: str, more: str, readers: set[str]) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(f"{top}\n[metrics]\n{section}\n{more}\n")
    store = MemoryStore()
    door = Doorkeeper(
        Keys(settings_of(path).keys), store, b"s", lambda: 0, closed=settings_of(path).access.require_keys
    )
    found = replace(_readers(settings_of(path), door), wait=at_once)
    for who in ("nobody", METRICS_KEY, ADMIN_KEY, GATEWAY_KEY):
        given = [] if who == "nobody" else [(b"authorization", f"Bearer {who}".encode())]
        assert await found.let_in(given) is (who in readers), who


async def test_a_virtual_key_closes_the_metrics_too() -> None:
    settings, store = load(None, {"OPENAI_API_KEY": "k"}), MemoryStore()
    door = Doorkeeper(Keys({}), store, b"s", lambda: 0)
    assert await _readers(settings, door).let_in([])
    await store.put_key(VirtualKey("key_1", "web", "acme", b"digest", "hg-...", 0))
    assert not await _readers(settings, door).let_in([])


def settings_of(path: Path) -> Settings:
    return load(path, {})


async def at_once() -> None:
    """For who guesses a key in a test."""


async def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text("[metrics]\nenabled = false\n")
    door = Doorkeeper(Keys({}), MemoryStore(), b"s", lambda: 0)
    standing = Standing(Live(), MemoryStore(), "1", "node")
    made = telemetry_of(settings_of(path), door, Catalogue(), standing, None)
    assert replace(made, renew=()) == Telemetry()


async def test_tracing_without_its_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text('[tracing]\nendpoint = "http://127.0.0.1:4318"\n')
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "headgate.telemetry.otlp", raising=False)
    with pytest.raises(ConfigError, match=r"`tracing`: needs the extra headgate\[otel\]"):
        build(settings_of(path), MemoryStore())


def test_opentelemetry_is_not_imported_unless_it_is_asked_for() -> None:
    """It takes a tenth of a second and some 15 MB."""
    code = "import sys, headgate.wiring; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
