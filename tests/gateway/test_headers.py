import pytest

from headgate.gateway.headers import bare, credentials_of, to_client, to_upstream, value_of, without_key

CREDENTIAL = [(b"authorization", b"Bearer ours")]


def test_what_the_client_means_passes() -> None:
    theirs = [
        (b"anthropic-beta", b"a,b"), (b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"c"),
        (b"user-agent", b"claude-cli/2"), (b"x-stainless-lang", b"python"), (b"x-codex-turn-state", b"opaque"),
        (b"content-type", b"application/json"), (b"idempotency-key", b"1"),
    ]  # fmt: skip
    sent = to_upstream(theirs, CREDENTIAL, metered=True)
    assert sent == [*theirs, (b"accept-encoding", b"identity"), *CREDENTIAL]


def test_credentials_and_the_hops_own_headers_stay() -> None:
    theirs = [
        (b"authorization", b"Bearer theirs"), (b"x-api-key", b"k"), (b"api-key", b"k"), (b"x-goog-api-key", b"k"),
        (b"cookie", b"c"), (b"host", b"h"), (b"content-length", b"9"), (b"transfer-encoding", b"chunked"),
        (b"connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"te", b"trailers"), (b"upgrade", b"h2c"),
        (b"expect", b"100-continue"), (b"x-provider", b"openai"), (b"x-forwarded-for", b"10.0.0.1"),
        (b"content-encoding", b"zstd"), (b"x-amz-security-token", b"t"), (b"ocp-apim-subscription-key", b"k"),
    ]  # fmt: skip
    assert to_upstream(theirs, [], metered=True) == [(b"accept-encoding", b"identity")]


def test_an_unmetered_answer_may_be_compressed() -> None:
    assert to_upstream([(b"accept-encoding", b"gzip")], [], metered=False) == [(b"accept-encoding", b"gzip")]


@pytest.mark.parametrize("asked", [b"zstd", b"gzip, br"])
def test_a_metered_answer_is_asked_for_uncompressed_8_16(asked: bytes) -> None:
    assert to_upstream([(b"accept-encoding", asked)], [], metered=True) == [(b"accept-encoding", b"identity")]


def test_the_providers_headers_come_back() -> None:
    theirs = [
        (b"content-type", b"application/json"), (b"content-length", b"2"), (b"x-request-id", b"r"),
        (b"x-ratelimit-remaining-tokens", b"1"), (b"retry-after", b"1"), (b"openai-processing-ms", b"3"),
    ]  # fmt: skip
    assert to_client(theirs, "ex_1", resized=False, stream=False) == [*theirs, (b"x-headgate-exchange-id", b"ex_1")]


def test_the_hops_own_headers_do_not() -> None:
    theirs = [(b"set-cookie", b"s"), (b"alt-svc", b"h3"), (b"transfer-encoding", b"chunked"), (b"connection", b"close")]
    assert to_client(theirs, "e", resized=False, stream=False) == [(b"x-headgate-exchange-id", b"e")]


def test_a_stream_is_not_to_be_held_back() -> None:
    theirs = [(b"cache-control", b"no-store"), (b"content-length", b"9")]
    sent = dict(to_client(theirs, "e", resized=True, stream=True))
    assert sent == {b"cache-control": b"no-store", b"x-accel-buffering": b"no", b"x-headgate-exchange-id": b"e"}


def test_value_of() -> None:
    assert value_of([(b"a", b"1"), (b"a", b"2")], b"a") == "1"
    assert value_of([], b"a") == ""


@pytest.mark.parametrize(
    ("query", "keys", "left"),
    [
        (b"", [], b""),
        (b"alt=sse", [], b"alt=sse"),
        (b"key=AIza-1", [b"AIza-1"], b""),
        (b"alt=sse&key=AIza%2D1&a=%20+", [b"AIza-1"], b"alt=sse&a=%20+"),
        (b"%6Bey=AIza-1&keys=2&monkey=3", [b"AIza-1"], b"keys=2&monkey=3"),
        (b"key=a&key=b&key", [b"a", b"b"], b""),
        (b"key=a%0d%0ax-evil:%201", [], b""),
    ],
)
def test_a_key_in_the_query_is_a_credential_and_taken_out(query: bytes, keys: list[bytes], left: bytes) -> None:
    theirs = [(b"x-api-key", b"mine"), (b"accept", b"*/*")]
    assert credentials_of(theirs, query) == [(b"x-api-key", b"mine"), *((b"x-goog-api-key", key) for key in keys)]
    assert without_key(query) == left


def test_a_credential_without_its_scheme() -> None:
    assert {bare(value) for value in (b"Bearer k ", b"bearer  k", b" BEARER k", b"k", b" k ")} == {b"k"}
    assert [bare(b"Basic k"), bare(b"Bearer"), bare(b"")] == [b"Basic k", b"", b""]
