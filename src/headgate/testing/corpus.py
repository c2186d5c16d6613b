"""Reads recorded provider responses: the evidence that meters are tested against.

A recording is a folder `<dialect>/<case>/` holding `case.json` (what it is, whence it comes, under which licence),
`response.body` (the body's bytes, content-encoding undone) and, where recorded, `request.json`. `load` reads a
directory of them, or the archive that `pack` makes of one.
"""

import io
import json
import lzma
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

FILES = ("case.json", "request.json", "response.body")
"""The files of a recording; only `request.json` may be absent."""


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded response."""

    id: str
    dialect: str
    """The folder it is kept in: a dialect's name, or "errors"."""
    wire_dialect: str
    """The dialect that its bytes are in."""
    framing: str
    """sse, json, json-array, ndjson or eventstream."""
    provider: str
    api_path: str
    """As asked, query included."""
    stream: bool
    """True where a stream was asked for."""
    status: int
    """The HTTP status; 0 where the source does not say."""
    content_type: str
    model: str | None
    usage_raw: Mapping[str, Any] | None
    """The provider's final usage as on the wire, numbers with a point as Decimal; None if the body holds none. Found by
    parsing the whole body at once, so independent of any meter."""
    tags: frozenset[str]
    recording: str
    """"verbatim" as the source stored it, or "rebuilt" from parsed pieces."""
    body: bytes
    request: bytes | None = None
    """The request's body; long strings may be cut."""
    usage_headers: Mapping[str, str] = field(default_factory=dict)
    """Token counts that came in the head, by header."""
    chunk_lengths: tuple[int, ...] = ()
    """The pieces the body arrived in, where recorded; they sum to its length."""

    @property
    def verbatim(self) -> bool:
        """True if the body's bytes are as the provider sent them, so that its layout is evidence too."""
        return self.recording == "verbatim"

    def chunks(self) -> list[bytes]:
        """The body in the pieces it arrived in; in one piece where that is not recorded."""
        pieces: list[bytes] = []
        start = 0
        for length in self.chunk_lengths:
            pieces.append(self.body[start : start + length])
            start += length
        return [piece for piece in (*pieces, self.body[start:]) if piece]


@lru_cache(maxsize=4)
def load(source: Path) -> tuple[Case, ...]:
    """All recordings of a directory or of a packed archive, ordered by dialect and id; kept for the process' life."""
    found = _from_directory(source) if source.is_dir() else _from_archive(source)
    return tuple(sorted((_case(files) for files in found), key=lambda case: (case.dialect, case.id)))


def pack(root: Path) -> bytes:
    """The archive of all recordings below `root`, other files left out.

    The same recordings give the same bytes: names are sorted, and times, owners and modes are not kept.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for path in root.glob("*/*/*") if path.name in FILES):
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(root).as_posix())
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return lzma.compress(raw.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def of_dialects(cases: Sequence[Case], *wire_dialects: str) -> list[Case]:
    """The cases whose bytes are in one of these dialects, recorded errors included."""
    return [case for case in cases if case.wire_dialect in wire_dialects]


def _from_directory(root: Path) -> Iterator[Mapping[str, bytes]]:
    for described in root.glob("*/*/case.json"):
        folder = described.parent
        yield {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


def _from_archive(path: Path) -> Iterator[Mapping[str, bytes]]:
    folders: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    with tarfile.open(path, "r:xz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                folder, _, name = member.name.rpartition("/")
                folders[folder][name] = file.read()
    yield from folders.values()


def _case(files: Mapping[str, bytes]) -> Case:
    described: dict[str, Any] = json.loads(files["case.json"], parse_float=Decimal)
    return Case(
        id=described["id"],
        dialect=described["dialect"],
        wire_dialect=described["wire_dialect"],
        framing=described["framing"],
        provider=described["provider"],
        api_path=described["api_path"],
        stream=described["stream"],
        status=described["status"],
        content_type=described["content_type"],
        model=described["model"],
        usage_raw=described["usage_raw"],
        tags=frozenset(described["tags"]),
        recording=described["recording"],
        body=files["response.body"],
        request=files.get("request.json"),
        usage_headers=described.get("usage_headers") or {},
        chunk_lengths=tuple(described.get("chunk_lengths", ())),
    )
