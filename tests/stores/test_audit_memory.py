"""What it does as an AuditLog is in the conformance suite; here is that it stays small."""

from headgate.audit.deeds import DeedsWanted
from headgate.audit.transcripts import TranscriptsWanted
from headgate.stores.audit_memory import MemoryAudit
from tests.stores.audit_conformance import a_deed, a_transcript


async def test_the_oldest_are_forgotten() -> None:
    log = MemoryAudit(kept=3)
    for n in range(5):
        await log.keep_deed(a_deed(n))
    await log.keep_transcripts([a_transcript(n) for n in range(5)])
    assert [(serial, deed.deed_id) for serial, deed in await log.deeds(DeedsWanted(), 10)] == [
        (5, "deed_4"), (4, "deed_3"), (3, "deed_2"),
    ]  # fmt: skip
    kept = (await log.transcripts(TranscriptsWanted(), 10)).found
    assert [transcript.at_ns for transcript in kept] == [4, 3, 2]
