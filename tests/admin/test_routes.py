import inspect
import re

import pytest

from headgate.access.budgets import Scope, Window
from headgate.admin import audit, downloads, handlers, session, sums, watching
from headgate.admin.routes import OPERATIONS, PATH_PARAMETERS, Operation

each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def test_every_handler_is_in_the_table_once() -> None:
    written = [
        name
        for home in (audit, handlers, downloads, session, sums, watching)
        for name, value in vars(home).items()
        if inspect.iscoroutinefunction(value) and value.__module__ == home.__name__ and not name.startswith("_")
    ]
    assert sorted(operation.name for operation in OPERATIONS) == sorted(written)
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)


@each
def test_whatever_stands_in_braces_has_a_type(operation: Operation) -> None:
    assert set(re.findall(r"{(\w+)}", operation.path)) <= set(PATH_PARAMETERS)


@each
def test_reading_changes_nothing_and_writing_may_fail(operation: Operation) -> None:
    finite = operation.path != "/live/events"  # there is room for so many onlookers
    assert (503 in operation.refusals) == (operation.changes or operation.discloses or not finite)
    assert operation.method != "GET" or operation.body is None


@each
def test_a_page_goes_with_a_cursor(operation: Operation) -> None:
    pages = "next_cursor" in getattr(operation.answer, "__struct_fields__", ())
    assert pages == ("cursor" in operation.query.__struct_fields__)


def test_paths_name_scopes_and_windows_as_the_gateway_does() -> None:
    assert (PATH_PARAMETERS["scope"], PATH_PARAMETERS["window"]) == (Scope, Window)
