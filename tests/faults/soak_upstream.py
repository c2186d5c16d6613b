"""A scripted provider in a process of its own, for the soak: it answers whoever asks, and remembers whom.

`python -m tests.faults.soak_upstream --chunks N --pause SECONDS --log FILE` prints its port, and at SIGTERM writes how
often each number was asked for.
"""

import argparse
import asyncio
import json
import signal
from pathlib import Path

from headgate.testing.upstream import Script, ScriptedUpstream
from tests.e2e.books import Witness


class Even(Witness):
    """A witness all of whose answers come to their end: what goes wrong is the network's."""

    def _stream(self, n: int, breaks_at: int | None) -> Script:
        del breaks_at
        return super()._stream(n, None)


async def serve(witness: Witness) -> None:
    """Answer until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with ScriptedUpstream(witness.handle) as upstream:
        print(upstream.port, flush=True)  # noqa: T201 - whoever started it waits for this
        await over.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, required=True)
    parser.add_argument("--pause", type=float, required=True)
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args()
    even = Even(pause=given.pause, chunks=given.chunks)
    asyncio.run(serve(even))
    given.log.write_text(json.dumps(even.asked))
