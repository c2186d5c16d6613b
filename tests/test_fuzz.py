"""Each fuzzer for a fixed number of cases, the same ones in every run; `make fuzz` runs them for longer."""

from random import Random

import pytest

from fuzz import (
    fuzz_asks,
    fuzz_bodies,
    fuzz_conversations,
    fuzz_eventstream,
    fuzz_json_array,
    fuzz_jsontext,
    fuzz_meters,
    fuzz_ndjson,
    fuzz_sse,
)
from fuzz.mutations import Case, mutated, run

FUZZERS = {
    "asks": fuzz_asks.case,
    "sse": fuzz_sse.case,
    "eventstream": fuzz_eventstream.case,
    "ndjson": fuzz_ndjson.case,
    "json_array": fuzz_json_array.case,
    "bodies": fuzz_bodies.case,
    "jsontext": fuzz_jsontext.case,
    "meters": fuzz_meters.case,
    "conversations": fuzz_conversations.case,
}


@pytest.mark.parametrize("case", FUZZERS.values(), ids=FUZZERS.keys())
def test_the_contract_holds(case: Case) -> None:
    run(case, seed=1, numbers=range(2000))


def test_every_fuzzer_is_run() -> None:
    scripts = {path.stem.removeprefix("fuzz_") for path in fuzz_meters.CORPUS.parent.parent.glob("fuzz/fuzz_*.py")}
    assert scripts == set(FUZZERS)


def test_mutations_change_the_data_and_repeat_with_the_seed() -> None:
    seed = b'data: {"a":1}\n\ndata: {"b":[2,3]}\n\n'
    made = [mutated(seed, Random(n)) for n in range(300)]
    assert made == [mutated(seed, Random(n)) for n in range(300)]
    assert len(set(made)) > 150


def test_a_failure_names_its_case() -> None:
    def fails_now_and_then(random: Random) -> None:
        assert random.randrange(20)

    with pytest.raises(AssertionError) as told:
        run(fails_now_and_then, seed=4, numbers=range(1000))
    (note,) = told.value.__notes__
    number = int(note.rpartition(" ")[2])
    with pytest.raises(AssertionError):
        run(fails_now_and_then, seed=4, numbers=range(number, number + 1))
