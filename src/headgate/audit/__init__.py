"""The audit log: who did what. Pure; `stores/` keeps it, `gateway/` and `admin/` fill it.

    deeds.py        Deed: one action of an administrator, done, refused or failed
    transcripts.py  Transcript: the bodies of an exchange, redacted, up to a bound
    log.py          AuditLog: the protocol that keeps both
    rules.py        whose bodies are kept

What may be kept of a text:

    legible.py      a body's bytes as text
    redaction.py    Redactor: a text without secrets, and not too long
    shapes.py       what secrets look like
    seams.py        texts that a stream cuts into pieces
    spans.py        the parts of a text that are written differently
"""
