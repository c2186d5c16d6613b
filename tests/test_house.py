"""The house rules, read off the source: layers, the "never" table, sizes, and one test file per source file.

docs/architecture.md argues each of them. A rule that stands in the way of a better design is changed there and here, in
a commit that says why; nobody is exempt.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "headgate"
FILES = sorted(SOURCE.rglob("*.py"))

LAYERS: dict[str, int] = {
    "addresses": 0, "errors": 0, "money": 0, "usage": 0,
    "framing": 1, "jsontext": 1, "pricing": 1, "ledger": 1, "records": 1,
    "dialects": 2, "settlement": 2, "access": 2, "audit": 2,
    "providers": 3,
    "routing": 4,
    "gateway": 5, "sections": 5, "tomltext": 5,
    "net": 6, "stores": 6, "telemetry": 6, "admin": 6, "config": 6, "tokenizer": 6,
    "wiring": 7, "wiring_edition": 7, "wiring_reload": 7, "wiring_store": 7, "wiring_telemetry": 7, "testing": 7,
    "workers": 7,
    "cli": 8, "__main__": 9,
}  # fmt: skip
"""A module's or folder's layer; it imports lower layers or its own folder."""

PEERS = {"wiring", "wiring_edition", "wiring_reload", "wiring_store", "wiring_telemetry", "testing"}
"""These may import one another."""

NO_IO = {"asyncio", "socket", "ssl", "selectors", "http", "urllib.request", "sqlite3", "subprocess", "threading"}
NO_CHANCE = {"time", "random", "uuid", "secrets", "datetime"}
THIRD_PARTIES = {
    "msgspec": {"dialects", "sections", "tomltext", "config"},
    "brotli": {"framing"},  # framing/inflate.py: a pure function over bytes, and the only decoder there is
    "backports": {"framing"},  # likewise, for zstd
    "compression": {"framing"},  # zstd in the standard library from 3.14
}
"""Third parties that may be used below L6, and by whom."""
VALUES = {
    "msgspec.Struct",
    "msgspec.field",
    "msgspec.structs.asdict",
    "msgspec.structs.fields",
    "msgspec.structs.replace",
}
"""What frozen values are made of, anywhere: no more than a class with fields, but made four times as fast."""

NEVER: list[tuple[str, set[str], str]] = [
    ("ledger", {"usage", "pricing", "dialects"}, "a ledger knows money, not tokens"),
    ("pricing", {"ledger", "dialects", "providers"}, "a price is not a payment"),
    ("framing", {"usage", "jsontext"}, "framing has no meaning"),
    ("dialects", {"providers", "pricing", "ledger"}, "a language has no address and no price"),
    ("gateway", {"net", "stores"}, "the spine sees protocols"),
]


def room(path: Path) -> str:
    """The folder or top-level module a file belongs to."""
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def layer(path: Path) -> int:
    return LAYERS[room(path)] if path != SOURCE / "__init__.py" else 0


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module's full name with its line; `from a import b` gives a.b as well as a."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def our_imports(path: Path) -> Iterator[tuple[str, int]]:
    """The rooms of ours that a file imports."""
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] == "headgate" and len(parts) > 1 and parts[1] in LAYERS:
            yield parts[1], line


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def below(limit: int) -> list[Path]:
    return [path for path in FILES if layer(path) < limit]


everywhere = pytest.mark.parametrize("path", FILES, ids=name_of)


@everywhere
def test_every_file_has_a_layer_and_imports_downwards_only(path: Path) -> None:
    own = room(path)
    upwards = [
        f"line {line}: {other} (L{LAYERS[other]}) from {own} (L{layer(path)})"
        for other, line in our_imports(path)
        if other != own and LAYERS[other] >= layer(path) and not {own, other} <= PEERS
    ]
    assert not upwards


def test_no_import_circle_between_files() -> None:
    graph: dict[str, set[str]] = {}
    modules = {".".join(("headgate", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in FILES}
    for module, path in modules.items():
        graph[module] = {name for name, _ in imports(path) if name in modules and name != module}
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for other in graph[module]:
                walk(other, (*trail, module))
            done.add(module)

    for module in graph:
        walk(module, ())


@pytest.mark.parametrize("path", below(5), ids=name_of)
def test_below_the_gateway_nothing_touches_the_world(path: Path) -> None:
    found = [f"line {line}: {name}" for name, line in imports(path) if name in NO_IO]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            found.append(f"line {node.lineno}: open()")
        if isinstance(node, ast.Attribute) and node.attr == "environ":
            found.append(f"line {node.lineno}: environ")
    assert not found


@pytest.mark.parametrize("path", below(6), ids=name_of)
def test_below_the_edges_time_and_chance_are_passed_in(path: Path) -> None:
    assert not [f"line {line}: {name}" for name, line in imports(path) if name.split(".")[0] in NO_CHANCE]


@pytest.mark.parametrize("path", below(6), ids=name_of)
def test_third_parties_stay_at_the_edges(path: Path) -> None:
    found = list(imports(path))
    of_values = {line for name, line in found if name in VALUES}
    for name, line in found:
        top = name.split(".")[0]
        if line not in of_values and top != "headgate" and top not in sys.stdlib_module_names:
            assert room(path) in THIRD_PARTIES.get(top, set()), f"line {line}: {name}"


@pytest.mark.parametrize(("own", "banned", "why"), NEVER, ids=[own for own, _, _ in NEVER])
def test_never(own: str, banned: set[str], why: str) -> None:
    found = [f"{name_of(p)}:{line}: {r}" for p in FILES if room(p) == own for r, line in our_imports(p) if r in banned]
    assert not found, why


def test_framing_knows_no_json() -> None:
    assert not [name_of(p) for p in FILES if room(p) == "framing" for name, _ in imports(p) if name == "json"]


def test_a_dialect_imports_no_other_dialect() -> None:
    folder = SOURCE / "dialects"
    dialects = {path.stem for path in folder.glob("*.py") if re.search(r"^DIALECT\b", path.read_text(), re.MULTILINE)}
    assert dialects, "no dialect found: this test would check nothing"
    for path in FILES:
        if path.parent == folder and path.stem in dialects:
            others = {f"headgate.dialects.{name}" for name in dialects - {path.stem}}
            assert not [name for name, _ in imports(path) if name in others], name_of(path)


def test_money_moves_in_one_place() -> None:
    moving = {"Capture", "Void", "Expire"}
    allowed = {"gateway/settle.py", "gateway/sweep.py"}
    for path in FILES:
        if name_of(path) in allowed or room(path) in {"ledger", "stores"}:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
                assert name not in moving, f"{name_of(path)}:{node.lineno}"


def test_concrete_parts_are_chosen_in_one_place() -> None:
    """Only wiring (and the commands that read a store of their own) names a concrete store or client."""
    concrete = {"headgate.stores.sqlite", "headgate.stores.postgres", "headgate.net.client"}
    for path in FILES:
        if room(path) in {"wiring", "wiring_edition", "wiring_store", "stores", "net", "cli", "testing"}:
            continue
        assert not [name for name, _ in imports(path) if name in concrete], name_of(path)


@everywhere
def test_no_float_for_money(path: Path) -> None:
    if room(path) not in {"money", "pricing", "ledger", "settlement"}:
        return
    for node in ast.walk(tree(path)):
        assert not (isinstance(node, ast.Name) and node.id == "float"), f"line {node.lineno}"
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"line {node.lineno}"


def test_broad_excepts_are_at_the_top_of_exchange_and_where_a_fault_is_brought_there() -> None:
    def is_broad(handler: ast.ExceptHandler) -> bool:
        caught = ast.dump(handler.type) if handler.type is not None else "'BaseException'"
        return "'Exception'" in caught or "'BaseException'" in caught

    handlers = [(p, node) for p in FILES for node in ast.walk(tree(p)) if isinstance(node, ast.ExceptHandler)]
    assert [name_of(path) for path, handler in handlers if is_broad(handler)] == [
        "gateway/exchange.py",
        "net/client_call.py",
    ]


@everywhere
def test_imports_stand_at_the_top(path: Path) -> None:
    """Commands may import late, for start-up time."""
    if room(path) == "cli":
        return
    for function in functions(path):
        late = [n.lineno for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
        assert not late, f"{function.name}, line {late[0]}"


@everywhere
def test_no_provider_is_named_in_a_condition(path: Path) -> None:
    if room(path) in {"providers", "testing", "cli"}:
        return
    names = {p.stem for p in (SOURCE / "providers").glob("*.py")} - {"__init__", "base", "registry", "sigv4", "grants"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Compare):
            for part in (node.left, *node.comparators):
                assert not (isinstance(part, ast.Constant) and part.value in names), f"line {node.lineno}"


@everywhere
def test_sizes(path: Path) -> None:
    assert path.read_text().count("\n") <= 400, "a file is 400 lines at most"
    for function in functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= 60, f"{function.name} has {length} lines"


@everywhere
def test_nothing_is_left_for_later(path: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError", path.read_text())


@everywhere
def test_each_source_file_has_its_own_test_file(path: Path) -> None:
    if path.name in {"__init__.py", "__main__.py"}:
        return
    relative = path.relative_to(SOURCE)
    mirrored = ROOT / "tests" / relative.parent / f"test_{relative.name}"
    assert mirrored.exists(), f"expected {mirrored.relative_to(ROOT)}"
    assert "def test_" in mirrored.read_text(), f"{mirrored.relative_to(ROOT)} holds no test"


def test_every_package_has_a_map() -> None:
    for path in SOURCE.rglob("__init__.py"):
        assert ast.get_docstring(tree(path)), name_of(path)


def test_each_decision_has_a_number_of_its_own() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(path.name[:4]) for path in decisions]
    assert len(set(numbers)) == len(numbers), "two were made at once: the later one takes the next number"
    for path, number in zip(decisions, numbers, strict=True):
        assert path.read_text().startswith(f"# {number}. "), path.name
