"""headgate in a world that is the same each time: `python -m tests.browser.at_a_time SECONDS serve ...`.

The clock begins at so many seconds since the epoch and goes on from there; the host's name, the process's number and
chance are always the same. For screenshots, and for nothing else: what it hands out as secrets are none.
"""

import os
import random
import sys
import time
from types import SimpleNamespace

if __name__ == "__main__":
    begun, now_ns = time.monotonic_ns(), int(sys.argv.pop(1)) * 10**9
    time.time_ns = lambda: now_ns + time.monotonic_ns() - begun
    time.time = lambda: time.time_ns() / 1e9
    os.uname = lambda: SimpleNamespace(nodename="gateway-1")  # type: ignore[assignment,return-value]
    os.getpid = lambda: 4242
    os.urandom = random.Random(6).randbytes

    from headgate.cli import main

    main()
