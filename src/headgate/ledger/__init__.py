"""The ledger: accounts, holds, caps and entries. It knows money, not tokens.

    entries.py   the values: Account, Hold, Counter, Entry, and what an Outcome says
    commands.py  what can be asked of it
    machine.py   the rules: a literal transition table, and Books, which applies one command after the other
    store.py     Ledger: the protocol that keeps it; `stores/` fulfils it

Everything here is pure. A store loads what a batch of commands touches into Books, lets them apply each command in
order, and writes the rows that changed in one transaction; so SQLite, PostgreSQL and memory share every rule.
"""
