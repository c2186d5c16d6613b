"""A program to supervise: each worker says what it hears on standard output, and does what a file tells it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from headgate.errors import ConfigError
from headgate.workers.handover import Handover, taken
from headgate.workers.supervisor import Post, Supervisor, Terms

FOLDER = Path(sys.argv[1])
COUNT = int(sys.argv[2])


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Program:
    def work(self, post: Post) -> int:
        say("begins", post.number, post.place, os.getpid())
        told = json.loads((FOLDER / "told.json").read_text())
        if told.get("fails") in {post.number, "all"}:
            raise ConfigError("this cannot be")
        asyncio.run(self._serve(post))
        say("ends", post.number)
        return 0

    async def _serve(self, post: Post) -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()

        def heard(word: str) -> None:
            say(word, post.number)
            over.set()

        post.lifeline.attach(lambda: heard("leaves"), lambda: heard("is alone"))
        loop.add_signal_handler(signal.SIGTERM, heard, "stops")
        loop.add_signal_handler(signal.SIGHUP, say, "reloads", post.number)
        say("serves", post.number)
        post.lifeline.ready()
        await over.wait()
        while (FOLDER / f"stuck-{post.number}").exists():
            await asyncio.sleep(0.01)

    def started(self) -> None:
        say("started")

    def reload(self) -> None:
        say("reload")

    def check(self) -> "subprocess.Popen[bytes]":
        told = json.loads((FOLDER / "told.json").read_text())
        return subprocess.Popen([sys.executable, "-c", f"raise SystemExit({told.get('check', 0)})"])

    def begin_anew(self, handover: Handover) -> None:
        os.execve(sys.executable, sys.orig_argv, handover.env(os.environ))


if __name__ == "__main__":
    before = taken(os.environ)
    folder = tempfile.mkdtemp(dir=FOLDER) if before is None else before.folder
    status = Supervisor(Program(), Terms(COUNT, 0.2, 5, 0.5), [], folder, before).run()
    say("over", status)
    sys.exit(abs(status))
