from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.providers.base import (
    Auth,
    Deployment,
    OnClientGone,
    Origin,
    Outbound,
    Provider,
    Secret,
    header_safe,
)

PLAIN = Provider(name="plain", title="Plain", base_url="https://api.plain.example/v1", dialects=("openai.chat",))
DEEP = Provider(
    name="deep",
    title="Deep",
    base_url="https://api.deep.example/openai/v1",
    dialects=("openai.chat", "anthropic.messages"),
    roots={"anthropic.messages": "/anthropic/v1"},
    sdk_path="/openai/v1",
)


def at(base_url: str, provider: Provider = PLAIN, key: str | None = None) -> Deployment:
    return Deployment("name", provider, base_url, Secret(key) if key is not None else None)


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("https://api.openai.com/", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("  http://127.0.0.1:8080\n", "http://127.0.0.1:8080/v1"),
        ("HTTP://[::1]:8080/x/", "http://[::1]:8080/x"),
        ("https://llm.example/api/paas/v4", "https://llm.example/api/paas/v4"),
    ],
)
def test_a_base_url_is_made_a_version_root(written: str, root: str) -> None:
    assert PLAIN.root(written) == root


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("https://eu.deep.example", "https://eu.deep.example/openai/v1"),
        ("https://proxy.example/deep", "https://proxy.example/deep/openai/v1"),
        ("https://proxy.example/v1", "https://proxy.example/v1"),
        ("https://proxy.example/deep/openai/v1", "https://proxy.example/deep/openai/v1"),
    ],
)
def test_a_base_url_may_be_written_as_the_providers_sdk_has_it(written: str, root: str) -> None:
    assert DEEP.root(written) == root


@pytest.mark.parametrize(
    "written",
    [
        "",
        "api.openai.com",
        "localhost:8080",
        "ftp://api.openai.com",
        "http://",
        "http:///v1",
        "https://host:port/v1",
        "https://host:99999/v1",
        "https://host:0/v1",
        "https://[::1/v1",
        "https://host/v1?api-version=1",
        "https://host/v1#top",
        "https://host/a b",
        "https://h\u00f6st/v1",
        "https://user:pa55word@host/v1",
    ],
)
def test_what_is_no_base_url_is_refused_without_being_repeated(written: str) -> None:
    with pytest.raises(ValueError, match="expected an http:// or https:// URL") as caught:
        DEEP.root(written)
    assert "pa55word" not in str(caught.value)


@given(st.one_of(st.text(), st.text().map("http://{}".format), st.from_regex(r"https?://[a-z.\[\]:0-9@]*/?[!-~]*")))
def test_any_text_is_a_usable_base_url_or_refused(text: str) -> None:
    try:
        root = PLAIN.root(text)
    except ValueError:
        return
    deployment = at(root)
    assert deployment.origin.host
    assert deployment.host_header.isascii()
    assert deployment.target("/chat/completions", b"").endswith(b"/chat/completions")


@pytest.mark.parametrize(
    ("base_url", "origin", "host"),
    [
        ("https://api.openai.com/v1", Origin(True, "api.openai.com", 443), b"api.openai.com"),  # noqa: FBT003 - a table
        ("http://API.example:8080/v1", Origin(False, "api.example", 8080), b"API.example:8080"),  # noqa: FBT003 - same
        ("http://[::1]:8080", Origin(False, "::1", 8080), b"[::1]:8080"),  # noqa: FBT003 - same
    ],
)
def test_where_connections_go(base_url: str, origin: Origin, host: bytes) -> None:
    assert at(base_url).origin == origin
    assert at(base_url).host_header == host


@pytest.mark.parametrize(
    ("base_url", "provider", "dialect", "path", "target"),
    [
        ("https://h/v1", PLAIN, "openai.chat", "/chat/completions", b"/v1/chat/completions"),
        ("https://h/v1", PLAIN, None, "/files/a%2Fb", b"/v1/files/a%2Fb"),
        ("https://h/v1/", PLAIN, None, "/files", b"/v1/files"),
        ("https://h", PLAIN, None, "/files", b"/files"),
        ("https://h/openai/v1", DEEP, "openai.chat", "/chat/completions", b"/openai/v1/chat/completions"),
        ("https://h/openai/v1", DEEP, "anthropic.messages", "/messages", b"/anthropic/v1/messages"),
        ("https://h/front/openai/v1", DEEP, "anthropic.messages", "/messages", b"/front/anthropic/v1/messages"),
        ("https://h/front/v1", DEEP, "anthropic.messages", "/messages", b"/front/anthropic/v1/messages"),
        ("https://h/front/v1", DEEP, "openai.chat", "/chat/completions", b"/front/v1/chat/completions"),
        ("https://h/openai/v1", DEEP, None, "/openai/v1/models", b"/openai/v1/models"),
        ("https://h/front/openai/v1", DEEP, None, "/openai/v1/models", b"/front/openai/v1/models"),
        ("https://h/openai/v1", DEEP, "anthropic.messages", "/anthropic/v1/messages", b"/anthropic/v1/messages"),
        ("https://h/openai/v1", DEEP, None, "/openai/v1beta", b"/openai/v1/openai/v1beta"),
        ("https://h/v1", PLAIN, None, "/v1/files", b"/v1/files"),
        ("https://h/openai/v1", DEEP, None, "/v1/files", b"/openai/v1/files"),
        ("https://h", PLAIN, None, "/v1/files", b"/v1/files"),
    ],
)
def test_request_targets(base_url: str, provider: Provider, dialect: str | None, path: str, target: bytes) -> None:
    deployment = at(base_url, provider)
    assert deployment.target(path, b"", dialect) == target
    assert deployment.target(path, b"beta=true&x=%20", dialect) == target + b"?beta=true&x=%20"


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        (Auth.BEARER, ((b"authorization", b"Bearer sk-1"),)),
        (Auth.X_API_KEY, ((b"x-api-key", b"sk-1"),)),
        (Auth.X_GOOG_API_KEY, ((b"x-goog-api-key", b"sk-1"),)),
        (Auth.NONE, ()),
    ],
)
def test_credentials_become_headers(auth: Auth, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    provider = Provider(name="p", title="P", base_url="https://h/v1", dialects=(), auth=auth)
    assert at("https://h/v1", provider, "sk-1").auth_headers() == headers
    assert at("https://h/v1", provider).auth_headers() == ()


def test_a_secret_does_not_print_itself() -> None:
    deployment = at("https://h/v1", key="sk-1")
    assert "sk-1" not in f"{deployment} {deployment!r} {deployment.credential}"
    assert deployment.credential is not None
    assert deployment.credential.reveal() == "sk-1"


@pytest.mark.parametrize("key", ["", "sk 1", "sk-1\r\nx-admin: 1", "sk-\u00e4", "sk-\x7f"])
def test_what_cannot_stand_in_a_header_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a key of visible ASCII characters without spaces$"):
        header_safe(key)


def test_deployments_can_be_told_apart_and_kept_in_sets() -> None:
    assert len({at("https://a/v1", DEEP), at("https://b/v1", DEEP), at("https://a/v1", DEEP)}) == 2
    assert at("https://a/v1").on_client_gone is OnClientGone.CUT


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("claude-*", ["claude-3", "CLAUDE-x", "claude-"], ["claude", "a-claude-3", "claude-3/x"]),
        ("o[0-9]-*", ["o3-mini"], ["o-mini", "o3", "oo3-mini"]),
        ("gpt-4.1", ["gpt-4.1"], ["gpt-4x1", "gpt-4.1-mini"]),
        ("a/*", ["a/b"], ["a/b/c", "a"]),
    ],
)
def test_patterns_of_model_names(pattern: str, matches: list[str], others: list[str]) -> None:
    provider = Provider(name="p", title="P", base_url="", dialects=(), model_patterns=("never", pattern))
    assert [model for model in matches + others if provider.recognises(model)] == matches


def test_a_provider_without_patterns_recognises_nothing() -> None:
    assert not PLAIN.recognises("")
    assert not PLAIN.recognises("plain")


def test_a_path_may_name_the_address_that_serves_it() -> None:
    provider = replace(PLAIN, home=lambda path: "https://far.plain.example/v1" if path.startswith("/far/") else None)
    near = at(provider.base_url, provider, "sk-1")
    assert near.at("/near/x") is near
    far = near.at("/far/x")
    assert far == replace(near, base_url="https://far.plain.example/v1")
    assert (far.origin.host, far.host_header) == ("far.plain.example", b"far.plain.example")
    elsewhere = at("https://proxy.example/v1", provider)
    assert elsewhere.at("/far/x") is elsewhere
    assert at(PLAIN.base_url).at("/far/x") == at(PLAIN.base_url)


REGIONAL = Provider(
    name="regional",
    title="Regional",
    base_url="https://{region}.api.example",
    dialects=("openai.chat",),
    options={"region": ("REGION",)},
)


def test_options_stand_in_the_address() -> None:
    assert REGIONAL.address({"region": "eu-1"}) == "https://eu-1.api.example"
    assert PLAIN.address({}) == PLAIN.base_url
    with pytest.raises(ValueError, match="expected the option 'region', or a base URL of your own"):
        REGIONAL.address({"region": ""})


def test_a_handshake_makes_the_credential_of_the_request() -> None:
    outbound = Outbound(b"POST", b"h", b"/x?y", [(b"a", b"b")], b"{}", 7)

    def handshake(deployment: Deployment, seen: Outbound) -> list[tuple[bytes, bytes]]:
        assert seen is outbound
        return [(b"signed", deployment.name.encode())]

    signing = replace(PLAIN, handshake=handshake)
    assert at("https://h/v1", signing, "key").credential_headers(outbound) == [(b"signed", b"name")]
    plain = at("https://h/v1", key="key")
    assert plain.credential_headers(outbound) == plain.auth_headers() != ()


def test_secrets_are_the_same_by_what_they_hide() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
