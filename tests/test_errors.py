import pytest

from headgate import errors
from headgate.errors import HeadgateError, Source

CLIENT, UPSTREAM, GATEWAY = Source.CLIENT, Source.UPSTREAM, Source.GATEWAY

TABLE: list[tuple[type[HeadgateError], Source, int, str, bool]] = [
    (errors.HeadgateError, GATEWAY, 500, "gateway_error", False),
    (errors.BadRequest, CLIENT, 400, "invalid_request", False),
    (errors.Unauthorized, CLIENT, 401, "invalid_api_key", False),
    (errors.Forbidden, CLIENT, 403, "not_allowed", False),
    (errors.Unpriced, CLIENT, 403, "not_priced", False),
    (errors.PaymentRequired, CLIENT, 402, "insufficient_credit", False),
    (errors.RateLimited, CLIENT, 429, "rate_limited", True),
    (errors.NotFound, CLIENT, 404, "not_found", False),
    (errors.UnknownModel, CLIENT, 404, "model_not_found", False),
    (errors.MethodNotAllowed, CLIENT, 405, "method_not_allowed", False),
    (errors.RequestTimeout, CLIENT, 408, "request_timeout", True),
    (errors.HeadersTooLarge, CLIENT, 431, "headers_too_large", False),
    (errors.TooLarge, CLIENT, 413, "request_too_large", False),
    (errors.UnsupportedEncoding, CLIENT, 415, "unsupported_encoding", False),
    (errors.Busy, GATEWAY, 503, "gateway_unavailable", True),
    (errors.UpstreamUnreachable, UPSTREAM, 502, "upstream_unreachable", True),
    (errors.UpstreamTimeout, UPSTREAM, 504, "upstream_timeout", False),
    (errors.UpstreamCut, UPSTREAM, 502, "upstream_connection_lost", False),
    (errors.UpstreamRefused, UPSTREAM, 502, "upstream_refused", True),
    (errors.UpgradeRefused, CLIENT, 426, "upgrade_refused", False),
    (errors.ConfigError, GATEWAY, 500, "config_error", False),
]


@pytest.mark.parametrize(("error", "source", "status", "code", "retry_safe"), TABLE)
def test_each_error_knows_its_source_status_and_code(
    error: type[HeadgateError], source: Source, status: int, code: str, *, retry_safe: bool
) -> None:
    assert (error.source, error.status, error.code, error.retry_safe) == (source, status, code, retry_safe)


def test_the_table_is_the_whole_tree() -> None:
    tree = {HeadgateError}
    while deeper := {sub for error in tree for sub in error.__subclasses__()} - tree:
        tree |= deeper
    assert {row[0] for row in TABLE} == {error for error in tree if error.__module__ == errors.__name__}


def test_a_code_stands_for_one_error_and_a_status_for_one_side() -> None:
    codes = [row[3] for row in TABLE]
    assert len(set(codes)) == len(codes)
    assert all((row[2] < 500) == (row[1] is CLIENT) for row in TABLE)


def test_an_error_carries_its_message_and_the_parameter_it_is_about() -> None:
    error = errors.BadRequest("'model' must be a string", param="model")
    assert (str(error), error.message, error.param) == ("'model' must be a string",) * 2 + ("model",)
    assert errors.NotFound("no such path").param is None


def test_an_error_says_nothing_in_headers_unless_it_has_something_to_say() -> None:
    for error, *_ in TABLE:
        if error not in {errors.PaymentRequired, errors.RateLimited, errors.Unauthorized}:
            assert error("no").headers == ()


def test_what_does_not_change_by_itself_is_not_tried_again() -> None:
    assert errors.Unauthorized("no").headers == ((b"x-should-retry", b"false"),)
    assert errors.PaymentRequired("no").headers == ((b"x-should-retry", b"false"),)


def test_a_limit_tells_where_it_stands_and_when_to_come_again() -> None:
    standing = ((b"x-ratelimit-limit-requests", b"5"), (b"x-ratelimit-remaining-requests", b"0"))
    assert errors.RateLimited("no", retry_after=7, standing=standing).headers == (*standing, (b"retry-after", b"7"))
    assert errors.RateLimited("no", standing=standing).headers == standing
    assert errors.RateLimited("no").headers == (), "nobody knows when another exchange ends"
