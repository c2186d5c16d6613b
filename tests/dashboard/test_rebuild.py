"""What is committed is what the sources build: byte for byte."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "src" / "headgate" / "dashboard" / "static"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_rebuild_is_what_is_committed(tmp_path: Path) -> None:
    built = subprocess.run(
        ["npm", "run", "build", "--", "--outDir", str(tmp_path), "--logLevel", "warn"],
        cwd=ROOT / "dashboard", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    assert files(tmp_path) == files(COMMITTED), "run `make dashboard` and commit what it builds"
