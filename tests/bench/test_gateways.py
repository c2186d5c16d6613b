"""How the gateways are configured."""

import json
import tomllib
from pathlib import Path

import pytest

from bench import gateways, script, versions, workloads
from bench.script import Script

FOLDER = Path("/bench/x")


def test_nginx_is_an_unbuffered_proxy_with_everything_in_its_own_folder() -> None:
    config = gateways.nginx_config(FOLDER, 1111, 2222)
    for line in ("listen 127.0.0.1:1111 backlog=2048;", "server 127.0.0.1:2222;", "proxy_buffering off;"):
        assert line in config
    assert config.count("{") == config.count("}")
    paths = [line.split()[1] for line in config.splitlines() if "_path" in line or line.startswith("pid")]
    assert len(paths) == 6
    assert all(path.startswith("/bench/x/") for path in paths)


def test_haproxy_has_one_thread_and_keeps_its_connections() -> None:
    lines = [line.strip() for line in gateways.haproxy_config(1111, 2222).splitlines()]
    assert {"nbthread 1", "http-reuse always", "option http-keep-alive", "bind 127.0.0.1:1111 backlog 2048"} <= {*lines}
    assert any(line.startswith("server scripted 127.0.0.1:2222 ") for line in lines)


def test_headgate_keeps_its_records_in_its_own_folder() -> None:
    config = tomllib.loads(gateways.metering_config(1111, 2222, "/bench/x/headgate.db"))
    assert config["listen"] == "127.0.0.1:1111"
    assert config["database"] == "/bench/x/headgate.db"
    assert config["fallback"] in config["providers"]
    assert config["providers"]["scripted"]["base_url"] == "http://127.0.0.1:2222/v1"
    assert config["keys"] == {"bench": script.KEY}


def test_with_accounts_there_is_a_price_for_everything_asked_and_served_and_no_operators_key() -> None:
    scripts = workloads.scripts(workloads.FULL)
    config = tomllib.loads(gateways.accounts_config(1, 2, "x.db", sorted({asked.model for asked in scripts})))
    priced = {name.removeprefix("openai_compatible/") for name in config["prices"]["override"]}
    assert priced == {asked.model for asked in scripts} | {script.SERVED_MODEL}
    assert "keys" not in config
    assert config["admin"]["keys"]


def test_litellm_knows_every_model_and_where_each_api_is() -> None:
    asked = [Script(), Script(), Script(33, 100, api="responses"), Script(api="messages")]
    models = json.loads(gateways.litellm_config(2222, asked))["model_list"]
    assert {each["model_name"]: each["litellm_params"]["model"] for each in models} == {
        "bench-chat-0x0-0ms": "openai/bench-chat-0x0-0ms",
        "bench-responses-33x100-0ms": "openai/bench-responses-33x100-0ms",
        "bench-messages-0x0-0ms": "anthropic/bench-messages-0x0-0ms",
    }
    assert {each["litellm_params"]["api_base"] for each in models} == {
        "http://127.0.0.1:2222/v1",
        "http://127.0.0.1:2222",
    }


@pytest.mark.parametrize(
    ("api", "provider"), [("chat", b"openai"), ("responses", b"openai"), ("messages", b"anthropic")]
)
def test_portkey_is_told_with_each_request_where_it_goes(api: str, provider: bytes) -> None:
    lines = gateways.portkey_headers(api, 2222).split(b"\r\n")
    assert lines == [b"x-portkey-provider: " + provider, b"x-portkey-custom-host: http://127.0.0.1:2222/v1", b""]
    assert gateways.PORTKEY.door(1, 2222).headers(api) == gateways.portkey_headers(api, 2222)


def test_every_gateway_has_a_name_of_its_own_and_what_is_foreign_can_be_installed() -> None:
    every = gateways.all_of([Script()])
    assert [target.name for target in every] == [
        "nginx", "haproxy", "headgate", "headgate, accounts", "litellm", "portkey",
    ]  # fmt: skip
    assert all(bool(target.install) is ("headgate" not in target.name) for target in every)


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("nginx version: nginx/1.22.1\n", "1.22.1"),
        ("v20.20.2", "20.20.2"),
        ("HAProxy version 2.6.12-1+deb12u4 2026", "2.6.12"),
        ("none", "of unknown version"),
    ],
)
def test_a_version_is_found_in_what_is_told(told: str, number: str) -> None:
    assert versions.number_in(told) == number
