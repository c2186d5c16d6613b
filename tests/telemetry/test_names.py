"""Which names models have in labels, and that clients cannot make more of them than there may be."""

import pytest
from msgspec.structs import replace

from headgate.records import Ending
from headgate.telemetry.names import LONGEST, NONE, OTHER, Names
from headgate.usage import Leg, Usage
from tests.stores.examples import a_record

KNOWN = frozenset({"gpt-4o", "llama"})


def failed(asked: str | None, provider: str | None = "openai", **more: object) -> str:
    names = more.pop("names", None) or Names(KNOWN)
    assert isinstance(names, Names)
    record = a_record(model_asked=asked, served_model=None, provider=provider, status=404, ending=Ending.REFUSED)
    return names.of(record)


def served(names: Names, model: str | None, asked: str | None = "gpt-4o", ending: Ending = Ending.COMPLETE) -> str:
    return names.of(a_record(served_model=model, model_asked=asked, ending=ending))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("gpt-4o", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("OpenAI/gpt-4o", "gpt-4o"),
        ("groq/gpt-4o", OTHER),
        ("nonsense", OTHER),
        ("openai/", OTHER),
        ("", OTHER),
        (None, NONE),
    ],
)
def test_a_name_that_only_failed_counts_if_it_is_known(asked: str | None, name: str) -> None:
    assert failed(asked) == name


def test_without_a_provider_only_the_whole_name_counts() -> None:
    assert failed("openai/gpt-4o", None) == OTHER


def test_the_model_that_served_is_the_one_that_counts() -> None:
    assert served(Names(KNOWN), "gpt-4o-2024-08-06") == "gpt-4o-2024-08-06"


@pytest.mark.parametrize("ending", [Ending.COMPLETE, Ending.INCOMPLETE, Ending.CLIENT_LEFT])
def test_a_name_that_was_answered_counts_though_the_answer_names_none(ending: Ending) -> None:
    names = Names(KNOWN)
    assert served(names, None, "whisper", ending) == "whisper"
    assert failed("whisper", names=names) == "whisper"


@pytest.mark.parametrize("ending", [Ending.UPSTREAM_CUT, Ending.NEVER_SENT, Ending.GATEWAY_DIED])
def test_a_name_without_an_answer_does_not(ending: Ending) -> None:
    assert served(Names(KNOWN), None, "whisper", ending) == OTHER


def test_a_failure_counts_beside_the_answers_to_the_same_name() -> None:
    names = Names(KNOWN)
    served(names, "gpt-4o-2024-08-06", "openai/gpt-4o")
    assert failed("gpt-4o", names=names) == "gpt-4o-2024-08-06"
    assert failed("gpt-4o", "azure", names=names) == "gpt-4o", "another provider may serve another"


def test_names_of_no_use_to_anybody_are_no_labels() -> None:
    assert served(Names(KNOWN), "x" * (LONGEST + 1)) == OTHER


def test_an_upstream_that_answers_to_everything_takes_half_of_the_places_and_no_more() -> None:
    known = frozenset(f"known-{n}" for n in range(10))
    names = Names(known, most=10)
    seen = {served(names, f"junk-{n}", f"junk-{n}") for n in range(10_000)}
    assert seen == {*(f"junk-{n}" for n in range(5)), OTHER}
    seen = {failed(name, names=names) for name in sorted(known)}
    assert seen == {*(f"known-{n}" for n in range(5)), OTHER}
    assert len(names._served) <= 40, "what is remembered of names is bounded too"


def test_what_failed_under_any_name_leaves_nothing_behind() -> None:
    names = Names(KNOWN)
    for n in range(1_000):
        assert failed(f"junk-{n}", names=names) == OTHER
    assert not names._served
    assert not names._names


def test_what_is_used_is_under_the_models_that_used_it() -> None:
    inner = Usage(input_tokens=5)
    advisor = Usage(input_tokens=7, legs=(Leg("iteration", None, inner),))
    own = Usage(input_tokens=100, legs=(Leg("advisor", "small", advisor), Leg("compaction", None, inner)))
    record = a_record(served_model="large", usage=own)
    names = Names(KNOWN)
    assert list(names.used(record)) == [("large", own), ("small", advisor), ("small", inner), ("large", inner)]
    assert not list(names.used(replace(record, counted=False)))


def test_what_is_known_may_change_and_names_keep_their_places() -> None:
    names = Names(frozenset({"old"}), most=2)
    assert failed("old", names=names) == "old"
    names.know(frozenset({"new"}))
    assert failed("new", names=names) == "new"
    assert served(names, "old") == "old"
    assert failed("newer", names=names) == OTHER
