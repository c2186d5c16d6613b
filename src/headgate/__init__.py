"""headgate: an LLM gateway whose numbers are right.

The way of a request, and the folder each step lives in::

    net        bytes from a socket become a Request; the answer's bytes go back
    gateway    the verbs: admit, plan, forward (relay), record; `exchange.py` is the spine
    dialects   what a wire API means: the ask, the meter, the error's shape
    providers  a company's address and handshake, as data
    routing    which provider serves a model name
    framing    bytes in, frames out
    stores     where records are kept
    config     files and environment become frozen settings
    wiring     the one place where the parts are put together
    cli        serve, demo, meter, usage

A file imports only lower layers or its own folder: docs/architecture.md, checked by tests/test_house.py.
"""

__version__ = "0.1.0.dev0"
