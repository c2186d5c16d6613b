from headgate.access.keys import Keys


def test_a_holder_is_found_by_the_whole_key_only() -> None:
    keys = Keys({"a": "first-secret-key", "b": "second-secret-key"})
    assert keys.holder(b"first-secret-key") == "a"
    assert keys.holder(b"second-secret-key") == "b"
    for wrong in (b"", b"first-secret-ke", b"first-secret-key ", b"\xff"):
        assert keys.holder(wrong) is None


def test_open_without_keys() -> None:
    assert Keys({}).open
    assert not Keys({"a": "x" * 16}).open


def test_nothing_of_a_key_can_be_printed() -> None:
    assert "secret" not in repr(vars(Keys({"a": "the-secret-itself"})))
