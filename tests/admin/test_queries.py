import pytest
from msgspec import UNSET, ValidationError, convert, structs

from headgate.admin import queries
from headgate.admin.queries import By, GroupKind, Step
from headgate.stores import spans
from headgate.stores.summary import GroupBy

TEXTS = {"key", "account", "model", "provider", "name", "search", "actor", "action", "subject", "text", "sums"}
KINDS = [kind for kind in vars(queries).values() if isinstance(kind, type) and issubclass(kind, queries._Query)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_no_parameter_is_refused(kind: type[queries._Query]) -> None:
    with pytest.raises(ValidationError):
        convert({"colour": "red"}, kind, strict=False)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_null_is_no_way_to_leave_something_out(kind: type[queries._Query]) -> None:
    """Where it is not a text like any other."""
    given = {field.name: "null" for field in structs.fields(kind) if field.default is UNSET and field.name not in TEXTS}
    for name, value in given.items():
        with pytest.raises(ValidationError):
            convert({name: value}, kind, strict=False)


def test_usage_is_summed_by_what_stores_sum_by() -> None:
    assert {str(by) for by in By} <= {str(by) for by in GroupBy}
    assert {str(kind) for kind in GroupKind} == {str(by) for by in GroupBy} - {"day"}
    assert [str(step) for step in Step] == [str(step) for step in spans.Step]
