"""Packs a directory of recorded responses into the tests' archive: `python tools/pack_corpus.py DIRECTORY ARCHIVE`.

What a recording is, and what the archive keeps of it, is told in `headgate.testing.corpus`.
"""

import sys
from pathlib import Path

from headgate.testing.corpus import pack


def main(arguments: list[str]) -> int:
    """Write the archive; the exit status."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python tools/pack_corpus.py DIRECTORY ARCHIVE\n")
        return 2
    source, target = (Path(argument) for argument in arguments)
    target.write_bytes(pack(source))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
