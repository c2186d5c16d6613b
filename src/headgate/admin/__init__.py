"""What an operator does: accounts, credit, keys, budgets; and what he wants to know. Used by the API and the commands.

    office.py    Office: everything that can be done, once, over the Ledger and Directory protocols
    terms.py     KeyTerms: what is decided about a key
    books.py     do the entries add up to the balances?
    texts.py     what names, notes and amounts may look like; amounts as text and as nano-dollars
    bodies.py    what goes in over the wire, as types
    views.py     what comes back, as types
    deeds.py     Deeds: what administrators do, kept before it is done
    audit.py     the audit log's part of the API
    records.py   RecordReader: what is asked of a record log; the JSON of a record
    export.py    records as rows of one width: CSV and JSON lines
    prices.py    the JSON of a price
    handlers.py  one small function for each operation of the API
    sums.py      the handlers of /usage and /series
    downloads.py handlers whose answer is a file, made as the client takes it
    queries.py   what may stand in a query, as types
    routes.py    the table of operations: method, path, types, statuses
    openapi.py   the OpenAPI document, made from the table
    signin.py    the door: admin keys
    passes.py    what a browser gets at sign-in
    cookies.py   where it keeps that, and whose page asks
    dashboard.py the dashboard's files, served under a strict content policy
    session.py   the handlers of /session
    snapshot.py  what is under way at one moment
    onlookers.py those who look on, and what all of them are shown
    bookkeeping.py the books, checked now and then; what came up since the start
    health.py    how the gateway is
    offer.py     its deployments, and the models that they serve
    watching.py  the handlers of all that can only be looked at
    api.py       admin_application: all of it as an ASGI application

The door stands before everything, the table decides what there is, and a handler only calls the office.
"""
