"""The benchmark: one scripted upstream and one load generator, with nothing, nginx or headgate between them.

`python -m bench` (that is `make bench`) runs it; docs/performance.md says what is measured and how.

    script.py     what is asked and what must come back, byte for byte: pure
    upstream.py   the scripted upstream, a process of its own
    load.py       the load generator: lanes over raw protocols, in the harness's own process
    machine.py    cores, CPU time and memory of processes, as Linux tells them
    targets.py    how each target is configured, started and stopped
    figures.py    what is measured, as data, and the statistics over rounds: pure
    rounds.py     the measurements, target by target, interleaved by rounds
    report.py     the table, the JSON, and the page in docs/
    profiling.py  headgate under one of the loads, for py-spy
"""
