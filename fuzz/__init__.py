"""Fuzzers, one a target: each states its contract in one sentence and is run by tests/test_fuzz.py and by hand.

python fuzz/fuzz_sse.py --seconds 60 --seed 7

mutations.py      seeded mutations, the loop, the command line
fuzz_sse.py       event streams into blocks and frames
fuzz_bodies.py    content codings undone, into documents
fuzz_jsontext.py  edits of JSON text
fuzz_asks.py     every dialect's ask, on mutated requests
fuzz_meters.py    every dialect's meter, on mutated recordings
"""
