"""Who may use the gateway, for how much, and how often. Pure.

keys.py       the operator's own keys, named in the config
virtual.py    virtual keys, which headgate hands out, each with an account behind it
directory.py  Directory: the protocol that keeps virtual keys and budgets
limits.py     limits on rate, as caps of the ledger
budgets.py    budgets, as caps of the ledger
"""
