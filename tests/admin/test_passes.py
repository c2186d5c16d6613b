"""Passes: who made one, for how long it is good, and that nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.admin.passes import LIFETIME_SECONDS, Pass, Passes
from tests.admin.serving import KEYS, NOON_NS, SECRET, Clock

NS = 1_000_000_000
OTHERS = {"ada": KEYS["ada"], "bob": "the admin key of bob"}


def passes(keys: dict[str, str] = OTHERS, secret: bytes = SECRET, now_ns: int = NOON_NS) -> Passes:
    return Passes(secret, keys, Clock(now_ns))


def test_a_pass_says_who_and_until_when() -> None:
    made, text = passes().make("ada")
    assert made == Pass("ada", NOON_NS + LIFETIME_SECONDS * NS)
    assert passes().read(text) == made, "another process reads it too"
    assert KEYS["ada"] not in text


@given(st.text(min_size=1, max_size=50))
def test_any_name_goes_into_a_cookie(name: str) -> None:
    name = name.encode("utf-8", "replace").decode()
    own = passes({name: "x" * 16})
    made, text = own.make(name)
    assert own.read(text) == made
    assert text.isascii()
    assert not set(text) & set('"; ,\\=\r\n')


def test_a_pass_ends() -> None:
    _, text = passes().make("ada")
    end_ns = NOON_NS + LIFETIME_SECONDS * NS
    assert passes(now_ns=end_ns - 1).read(text) is not None
    assert passes(now_ns=end_ns).read(text) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(passes({"bob": OTHERS["bob"]}), id="key removed"),
        pytest.param(passes({"ada": "another admin key of ada"}), id="key changed"),
        pytest.param(passes({"eve": KEYS["ada"]}), id="key under another name"),
        pytest.param(passes(secret=b"another secret"), id="another secret"),
    ],
)
def test_a_pass_ends_with_its_key(other: Passes) -> None:
    assert other.read(passes().make("ada")[1]) is None


def test_nobody_can_make_himself_another() -> None:
    version, seconds, name, signature = passes().make("ada")[1].split(".")
    bob = passes().make("bob")[1].split(".")[2]
    later = str(int(seconds) + 1)
    forged = [
        ".".join(parts)
        for parts in [
            (version, seconds, bob, signature),
            (version, later, name, signature),
            (version, "0" + seconds, name, signature),
            (version, seconds, name, ""),
            (version, seconds, name, signature[:-1]),
            (version, seconds, name, signature + "A"),
            (version, seconds, name + "=", signature),
            ("2", seconds, name, signature),
            (version, seconds, name, signature, ""),
            (version, "9" * 400, name, signature),
            (version, "-1", name, signature),
            (version, "١٢٣", name, signature),
        ]
    ]
    assert [text for text in forged if passes().read(text) is not None] == []


@given(st.text())
def test_no_other_text_is_a_pass_and_none_does_harm(text: str) -> None:
    assert passes().read(text) is None
    assert passes().read(f"1.99999999999.{text}.{text}") is None
