"""The verbs of an exchange, async over protocols; no network library and no SQL here.

exchange.py   the spine: the life of a request, readable aloud
request.py    what comes in: Request; Client, the way back
upstream.py   what goes out: UpstreamRequest, Call (the protocol that net/client.py fulfils)
admit.py      a Request becomes an Admission, or is refused
headers.py    which headers pass, each way
forward.py    an Admission and a Route become a Forwarded: one attempt, its call, its answer
habits.py     what deployments turned out not to take, and the look into a refusal that tells
relay.py      chunks on, unchanged, the meter watching
record.py     a Forwarded becomes a Record
"""
