"""The benchmark: one scripted upstream and one load generator, with nothing or a gateway between them.

`python -m bench` (that is `make bench`) runs it; docs/performance.md says what is measured and how.

    apis/         the wire APIs: what is asked, what must come back, what it means: pure
    script.py     one answer, and how it is asked for: pure
    upstream.py   the scripted upstream, a process of its own
    checking.py   whether an answer is right: to the byte, or by its meaning
    load.py       the load generator: lanes over raw protocols, in the harness's own process
    machine.py    cores, CPU time and memory of processes, as Linux tells them
    targets.py    gateways as processes: started, awaited, stopped
    gateways.py   how each gateway is configured
    versions.py   which versions they are
    workloads.py  what is asked for, and which figures come of it: pure
    figures.py    what is measured, as data, and the statistics over rounds: pure
    rounds.py     the measurements, target by target, interleaved by rounds
    coldstart.py  from the start of a process to its first answer
    goals.py      what the project has set itself, judged by a run: pure
    report.py     the tables, the JSON, and the page in docs/
    published.py  what the page says, read back
    scale.py      `python -m bench.scale`: more workers, and two hosts on one PostgreSQL
    hosts.py      two hosts on one machine: network namespaces
    scaling.py    what breaks first with more traffic, calculated from the published costs
    pages.py      `python -m bench.pages`: what pages wait for with ten million records (filling.py)
    observers.py  `python -m bench.observers`: what telling the world outside costs
    profiling.py  headgate under one of the loads, for py-spy
"""
