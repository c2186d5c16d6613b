from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from headgate.testing.corpus import Case, load, of_dialects, pack

ARCHIVE = Path(__file__).parents[1] / "corpus.tar.xz"
CASE = """{"id": "%s", "dialect": "d", "wire_dialect": "w", "framing": "sse", "provider": "p", "api_path": "/x",
"stream": true, "status": 200, "content_type": "text/event-stream", "model": null, "usage_raw": {"cost": 0.1},
"tags": ["t"], "recording": "verbatim", "chunk_lengths": [2, 3], "license": "MIT"}"""


def write(root: Path, name: str, body: bytes, request: bytes | None = None) -> None:
    folder = root / "d" / name
    folder.mkdir(parents=True)
    (folder / "case.json").write_text(CASE % name)
    (folder / "response.body").write_bytes(body)
    if request is not None:
        (folder / "request.json").write_bytes(request)


def test_the_archive_holds_the_whole_corpus() -> None:
    kept = Counter(case.dialect for case in load(ARCHIVE))
    assert kept.total() == 959
    assert kept["openai.chat"] == 201
    assert kept["openai.responses"] == 158
    assert kept["anthropic.messages"] == 159
    assert kept["errors"] == 25


def test_of_dialects_finds_recorded_errors_too() -> None:
    cases = of_dialects(load(ARCHIVE), "openai.chat")
    assert {case.dialect for case in cases} == {"openai.chat", "errors"}
    assert len(cases) == 210


@pytest.mark.parametrize("case", [c for c in load(ARCHIVE) if c.chunk_lengths], ids=lambda case: case.id)
def test_recorded_chunks_are_the_body(case: Case) -> None:
    assert b"".join(case.chunks()) == case.body
    assert [len(chunk) for chunk in case.chunks()] == [length for length in case.chunk_lengths if length]


def test_a_case_reads_the_same_from_its_directory_and_from_the_archive(tmp_path: Path) -> None:
    write(tmp_path / "in", "one", b"ab\r\nc", request=b"{}")
    write(tmp_path / "in", "two", b"\x00\xff")
    (tmp_path / "in" / "judging.bin").write_bytes(b"not a recording")
    (tmp_path / "out.tar.xz").write_bytes(pack(tmp_path / "in"))

    cases = load(tmp_path / "in")

    assert load(tmp_path / "out.tar.xz") == cases
    one, two = cases
    assert (one.body, one.request, one.verbatim, one.usage_raw) == (b"ab\r\nc", b"{}", True, {"cost": Decimal("0.1")})
    assert one.chunks() == [b"ab", b"\r\nc"]
    assert (two.body, two.request) == (b"\x00\xff", None)


def test_the_same_recordings_pack_to_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", "one", b"x")
    write(tmp_path / "a", "two", b"y")
    write(tmp_path / "b", "two", b"y")
    write(tmp_path / "b", "one", b"x")
    assert pack(tmp_path / "a") == pack(tmp_path / "b")
