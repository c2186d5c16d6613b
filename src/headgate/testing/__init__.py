"""The public testing kit: what it takes to show that bytes pass unchanged and that readings are right.

    splits.py      how a body may arrive: every split of it, or random ones
    corpus.py      the reader of recorded provider responses, and their packer
    upstream.py    a scripted provider on loopback: exact bytes, pauses, closes, resets, and a log of what it was sent
    faults.py      what goes wrong on a TCP connection, as a script for each direction
    proxy.py       a TCP proxy that carries such scripts out
    replay.py      an upstream that answers with recordings, at a model's pace
    recordings/    the few recordings that ship with the package, for `headgate demo`

All of it runs without a key and without a network beyond loopback.
"""
