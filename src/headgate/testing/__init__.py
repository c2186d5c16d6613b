"""The testing kit, public: what headgate's own tests, its demo and users' tests are made of.

    splits.py     a byte string in all its pieces: whole, byte by byte, cut in two
    corpus.py     the recorded provider responses, from a folder or a packed archive
    upstream.py   a provider that plays a script: exact bytes, pauses, resets
    replay.py     a provider as a process, answering with recordings at a live model's pace
"""
