"""One file holds all that headgate knows of one wire API; a language has no address and no price.

    base.py                 Dialect, Ask, Operation, Meter, Tally: what a dialect file fills in
    reading.py              counts and snapshots: how usage on the wire is kept and read, for all dialects
    asking.py               how a request body is read, for all dialects
    registry.py             which dialect and operation a method and path mean
    openai_wire.py          what OpenAI's APIs share: error objects, usage arithmetic, cost
    openai_choices.py       what chat and completions share: choices, and the usage frame
    openai_chat.py          POST /chat/completions, and every service compatible with it
    openai_completions.py   POST /completions (legacy)
    openai_embeddings.py    POST /embeddings
    openai_responses.py     /responses over HTTP
    anthropic_messages.py   POST /messages

Adding a dialect is one file here plus its test: the registry finds the file by its `DIALECT`.
"""
