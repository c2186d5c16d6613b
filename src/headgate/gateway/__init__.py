"""The verbs of an exchange, async over protocols; no network library and no SQL here.

exchange.py    the spine: the life of a request, readable aloud
request.py     what comes in: Request; Client, the way back
upstream.py    what goes out: UpstreamRequest, Call (the protocol that net/client.py fulfils)
trace.py       the trace that an exchange belongs to, as it comes in and goes on
locate.py      which wire API a request speaks
holder.py      who asks
admit.py       a Request becomes an Admission, or is refused
plan.py        who may serve it: a Route, or an alias's candidates
attempts.py    one attempt after the other, each with a hold, until one has answered
spare.py       whether a failure is told or another is tried, and what it says of health
tariff.py      what an exchange may cost, costs, and is charged
hold.py        money is set aside for an Admission, or it is refused
headers.py     which headers pass, each way
forward.py     an Admission and a Route become a Forwarded: one attempt and its call
habits.py      what deployments turned out not to take, and the look into a refusal that tells
answering.py   the way back: the answer's head, body and end
envelope.py    a document is held back until its cost can stand in its head
holdback.py    the beginning of a stream, held back for a moment
kept.py        a refusal that is kept while another target is tried
relay.py       chunks on, unchanged, the meter watching
answer.py      errors of the gateway's own
appraise.py    a Reading becomes an Appraisal: its bill
legs.py        the bills of several attempts, added up
receipt.py     the bill, told to the client
rates.py       where a key stands with its limits, told to the client
settle.py      a hold is captured or voided, and the Record kept with it
record.py      a Forwarded becomes a Record
live.py        the exchanges under way
checkpoint.py  what their bills would be now, noted in case this process dies
sweep.py       the exchanges of processes that died are settled
retention.py   records and transcripts that are older than they are to be kept are removed
tape.py        what a client is sent, gathered where a rule asks for it
scribe.py      tapes become transcripts
local.py       what the gateway answers by itself
"""
