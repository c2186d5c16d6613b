"""The built dashboard as it ships: complete, self-contained, small, of these sources, and with its licences told."""

import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "dashboard"
STATIC = ROOT / "src" / "headgate" / "dashboard" / "static"
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")
ASSETS = sorted((STATIC / "assets").iterdir())
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}
"""Names that look like addresses; nothing is fetched from there."""


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in {"script", "style"} and data.strip():
            self.scripts.append(data)


def tags() -> _Tags:
    parser = _Tags()
    parser.feed(PAGE)
    return parser


def test_the_page_refers_to_assets_of_its_own_and_to_nothing_else() -> None:
    referred = [attrs[name] or "" for _, attrs in tags().found for name in ("src", "href") if name in attrs]
    assert referred
    for target in referred:
        assert target.startswith("/dashboard/assets/"), target
        assert (STATIC / target.removeprefix("/dashboard/")).is_file(), target


def test_every_asset_is_used() -> None:
    used = PAGE + "".join(path.read_text(encoding="utf-8") for path in ASSETS)
    assert not [path.name for path in ASSETS if path.name not in used]


def test_the_page_holds_no_script_and_no_style_that_the_policy_forbids() -> None:
    parser = tags()
    assert not parser.scripts
    assert not [tag for tag, _ in parser.found if tag == "style"]
    assert not [attrs for _, attrs in parser.found if "style" in attrs or any(name.startswith("on") for name in attrs)]


def test_nothing_points_elsewhere() -> None:
    for path in (STATIC / "index.html", *ASSETS):
        text = path.read_text(encoding="utf-8")
        assert not set(re.findall(r"https?://[\w./-]+\w", text)) - NAMESPACES, path.name
        assert not re.findall(r"""url\(["']?(?!/dashboard/|#)[^)]+""", text), path.name


def test_assets_carry_their_contents_hash_in_their_names() -> None:
    assert not [path.name for path in ASSETS if re.fullmatch(r"[\w-]+-[\w-]{8}\.(js|css|svg)", path.name) is None]


def test_vendored_code_is_small() -> None:
    vendored = [path for path in ASSETS if path.name.startswith("vendor-")]
    assert vendored
    assert sum(len(gzip.compress(path.read_bytes())) for path in vendored) < 60_000


def test_what_is_committed_was_built_from_these_sources() -> None:
    """`make dashboard` writes the digest; `make test-dashboard` builds it all anew and compares."""
    files = [path for path in (SOURCES / "src").rglob("*") if path.is_file()]
    files += [SOURCES / name for name in ("index.html", "package-lock.json", "tsconfig.json", "vite.config.ts")]
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(SOURCES).as_posix().encode("utf-16-be")):
        digest.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    told = (SOURCES / "built-from.sha256").read_text(encoding="utf-8").strip()
    assert digest.hexdigest() == told, "run `make dashboard` and commit what it builds"


def test_sources_are_of_a_size_to_be_read() -> None:
    for path in SOURCES.joinpath("src").rglob("*.*"):
        assert path.read_text(encoding="utf-8").count("\n") <= 400, path


def test_the_licences_of_what_is_vendored_are_told() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    package = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    shipped = [name.removeprefix("node_modules/") for name, own in lock.items() if name and not own.get("dev")]
    assert set(package["dependencies"]) <= set(shipped)
    for name in shipped:
        version = lock[f"node_modules/{name}"]["version"]
        assert f"{name} {version}" in notice, f"NOTICE lacks {name} {version}"


def test_versions_are_exact() -> None:
    package = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))
    wanted = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert not [version for version in wanted if re.fullmatch(r"\d+\.\d+\.\d+", version) is None]
