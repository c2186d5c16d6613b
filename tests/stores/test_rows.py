import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given

from headgate.records import Record
from headgate.stores.rows import COLUMNS, as_object, from_object, from_row, to_row, without_surrogates
from headgate.stores.schema import migrate
from headgate.usage import Leg, Usage
from tests.stores.examples import a_record, any_record


@given(any_record)
def test_a_row_is_the_record(record: Record) -> None:
    row = to_row(record)
    assert from_row(row) == record
    assert from_row(from_object(json.loads(json.dumps(as_object(row))))) == record


def test_the_columns_are_those_of_the_table() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, Path("test"))
    in_table = [name for _, name, *_ in db.execute("PRAGMA table_info(records)")]
    db.close()
    assert in_table == list(COLUMNS)


def test_unknown_none_and_zero_stay_apart() -> None:
    usage = Usage(input_tokens=0, tool_calls={}, billed_units={"a": Decimal("0.50"), "b": 2})
    row = as_object(to_row(a_record(usage=usage)))
    assert (row["input_tokens"], row["output_tokens"]) == (0, None)
    assert (row["tool_calls"], row["legs"], row["cache_write_tokens_by_ttl"]) == ("{}", None, None)
    assert row["billed_units"] == '{"a":"0.50","b":2}'
    assert repr(from_row(to_row(a_record(usage=usage))).reading.usage.billed_units) == "{'a': Decimal('0.50'), 'b': 2}"


def test_an_older_headgates_object_lacks_columns() -> None:
    named = as_object(to_row(a_record()))
    del named["error"]
    assert from_row(from_object(named)) == a_record()


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    row = without_surrogates(to_row(a_record(model_asked="a\ud800b\U0001f600", status=200)))
    assert from_row(row).model_asked == "a\ufffdb\U0001f600"


def test_a_row_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        from_row(to_row(a_record())[:-1])


def test_a_leg_that_an_older_headgate_wrote_lacks_counts() -> None:
    leg = Leg("advisor", "m", Usage(input_tokens=3))
    named = as_object(to_row(a_record(usage=Usage(legs=(leg,)))))
    (told,) = json.loads(str(named["legs"]))
    for name in ("cache_read_audio_tokens", "cache_read_image_tokens"):
        assert told["usage"].pop(name, 0) is None
    named["legs"] = json.dumps([told])
    assert from_row(from_object(named)).reading.usage.legs == (leg,)
