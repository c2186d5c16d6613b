"""The audit log: who did what. Pure; `stores/` keeps it, `gateway/` and `admin/` fill it.

deeds.py        Deed: one action of an administrator, done, refused or failed
transcripts.py  Transcript: the bodies of an exchange, redacted, up to a bound
log.py          AuditLog: the protocol that keeps both
"""
