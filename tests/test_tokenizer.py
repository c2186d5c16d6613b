import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import tokenizer
from headgate.dialects.bound import ModelLimits, worst_case
from headgate.dialects.registry import by_name
from headgate.testing.corpus import load
from headgate.tokenizer import MOST_BYTES, Tokenizer
from tests.dialects import expected

SHARED = Tokenizer()


def test_the_vocabulary_is_o200k_base() -> None:
    """Two texts with the tokens that OpenAI's own tokenizer gives for them."""
    encoding = SHARED._loaded()
    assert encoding.encode_ordinary("hello world") == [24912, 2375]
    assert encoding.encode_ordinary("tiktoken is great!") == [83, 8251, 2488, 382, 2212, 0]
    assert encoding.n_vocab == 199_998


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b"{}", 2),
        (b'{ "a" : 1 }', 2 * 5 + 1),
        (b"[" + b"1" * 300 + b"]", 302),
        ('["日本"]'.encode(), 10),
    ],
)  # fmt: skip
def test_small_bodies(body: bytes, tokens: int) -> None:
    counted = SHARED.count(body)
    assert counted == tokens


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":NaN}', b"[" * 100_000, b"[" + b" " * MOST_BYTES + b"]"])
def test_what_is_not_counted(body: bytes) -> None:
    assert SHARED.count(body) is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(ANY, st.booleans())
def test_never_more_than_the_bytes_nor_less_than_the_tokens(value: Any, ascii_only: bool) -> None:
    try:
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    counted = SHARED.count(body)
    if counted is None:
        return  # numbers and surrogates that only a lenient parser takes: bytes stand
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert counted <= len(body)
    assert counted >= min(len(SHARED._loaded().encode_ordinary(text)), len(body))


@pytest.mark.parametrize(
    "text", ["a" * 300_000, " " * 300_000, "=-" * 150_000, "\n" * 300_000, "ab1 " * 75_000, "\u0301" * 100_000]
)
def test_texts_made_to_be_hard(text: str) -> None:
    body = json.dumps({"m": text}, ensure_ascii=False).encode()
    counted = SHARED.count(body)
    assert counted is not None
    assert 0 < counted <= len(body)


def test_plain_english_is_counted_at_half_of_its_bytes() -> None:
    body = json.dumps({"content": "The quick brown fox jumps over the lazy dog. " * 200}).encode()
    counted = SHARED.count(body)
    assert counted is not None
    assert len(body) // 3 < counted < len(body) // 2


def test_threads_share_one() -> None:
    fresh, found = Tokenizer(), []
    body = b'{"content":"The quick brown fox"}'
    threads = [threading.Thread(target=lambda: found.append(fresh.count(body))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [SHARED.count(body)] * 4


def test_without_the_extra_bytes_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "INSTALLED", False)
    assert Tokenizer().count(b"{}") is None


def test_another_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match="damaged"):
        Tokenizer().count(b"{}")


def test_every_recorded_prompt_is_within_its_count() -> None:
    """Of all providers, whatever their vocabularies; what a prompt holds beside text has its own allowance."""
    checked = 0
    for case in load(expected.ARCHIVE):
        if case.request is None or b"[elided " in case.request or case.usage_raw is None:
            continue
        given_tokens = expected.usage(case).input_tokens
        if given_tokens is None or case.model == "groq/compound":  # it searches unasked
            continue
        ask = by_name(case.wire_dialect).read_ask(case.request, ())
        bound = worst_case(ask, ModelLimits(), prompt_tokens=SHARED.count(case.request))
        assert given_tokens <= bound.input_tokens, case.id
        checked += 1
    assert checked > 600
