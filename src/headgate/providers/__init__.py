"""One file is one company's address and handshake, mostly data.

    base.py       Provider (the company, as data), Deployment (an instance of it with its credential)
    registry.py   finds the provider files, and tells what the environment configures
    grants.py     short-lived tokens: what is asked of a token service, and what its answer means; pure
    sigv4.py      AWS signatures; pure, the time is passed in
    openai.py, anthropic.py, groq.py, ...   one `PROVIDER = Provider(...)` each

Adding a provider is one file here plus its test: the registry finds the file by itself.
"""
