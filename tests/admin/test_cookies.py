"""Cookies as browsers send them, and where a request comes from."""

import pytest

from headgate.admin.cookies import forget, is_own_page, is_secure, keep, may_act, pass_in

Pairs = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([b"headgate_session=1.2.x.y"], "1.2.x.y"),
        ([b"a=b; headgate_session=x;c=d"], "x"),
        ([b"a=b", b"headgate_session=x"], "x"),  # HTTP/2 may split them
        ([b"headgate_session=x; headgate_session=y"], ""),
        ([b"headgate_session=x", b"headgate_session=y"], ""),
        ([b"xheadgate_session=x"], ""),
        ([b"headgate_session"], ""),
        ([b""], ""),
        ([], ""),
    ],
)
def test_the_pass_in_the_cookies(lines: list[bytes], found: str) -> None:
    assert pass_in([(b"cookie", line) for line in lines]) == found


def test_what_a_browser_is_told_to_keep_and_to_forget() -> None:
    kept = "headgate_session=x; Path=/admin/v1; Max-Age=60; HttpOnly; SameSite=Strict"
    assert keep("x", "/admin/v1", 60, secure=False) == kept
    assert keep("x", "/admin/v1", 60, secure=True) == kept + "; Secure"
    assert forget("/admin/v1", secure=False) == kept.replace("=x", "=").replace("60", "0")


@pytest.mark.parametrize(
    ("scheme", "headers", "secure"),
    [
        ("http", [], False),
        ("https", [], True),
        ("http", [(b"x-forwarded-proto", b"https")], True),
        ("http", [(b"x-forwarded-proto", b"HTTPS, http")], True),
        ("http", [(b"x-forwarded-proto", b"http")], False),
        ("http", [(b"origin", b"https://gate.example")], True),
        ("http", [(b"origin", b"http://gate.example")], False),
    ],
)
def test_whether_the_browser_speaks_https(scheme: str, headers: Pairs, secure: bool) -> None:
    assert is_secure(scheme, headers) is secure


HOST = (b"host", b"gate.example:8080")


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ([HOST], None),
        ([HOST, (b"sec-fetch-site", b"same-origin")], True),
        ([HOST, (b"sec-fetch-site", b"same-site")], False),  # another port, or a neighbour
        ([HOST, (b"sec-fetch-site", b"cross-site")], False),
        ([HOST, (b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"same-origin")], False),
        ([HOST, (b"sec-fetch-site", b"cross-site"), (b"origin", b"http://gate.example:8080")], False),
        ([HOST, (b"origin", b"http://gate.example:8080")], True),
        ([HOST, (b"origin", b"https://GATE.example:8080")], True),  # behind something that speaks https
        ([HOST, (b"origin", b"http://gate.example")], False),
        ([HOST, (b"origin", b"http://gate.example:8080.evil.example")], False),
        ([HOST, (b"origin", b"null")], False),
        ([HOST, (b"origin", b"file://gate.example:8080")], False),
        ([HOST, (b"origin", b"http://[gate")], False),
        ([(b"origin", b"http://gate.example:8080")], False),
        ([(b"host", b""), (b"origin", b"http://")], False),
    ],
)
def test_whose_page_asks(headers: Pairs, own: bool | None) -> None:
    assert is_own_page("POST", headers) is own
    assert may_act("POST", headers) is (own is True)
    assert may_act("GET", headers) is (own is not False)


def test_an_address_typed_in_may_read_and_do_nothing_else() -> None:
    typed = [HOST, (b"sec-fetch-site", b"none")]
    assert may_act("GET", typed)
    assert may_act("HEAD", typed)
    assert not may_act("POST", typed)
    assert not may_act("DELETE", typed)
