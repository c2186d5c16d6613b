from collections.abc import Iterator
from contextlib import contextmanager

from headgate.records import Trail
from headgate.stores.memory import MemoryRecordLog
from tests.stores.conformance import Conformance
from tests.stores.examples import a_record


class TestMemory(Conformance):
    @contextmanager
    def fresh(self) -> Iterator[MemoryRecordLog]:
        log = MemoryRecordLog()
        yield log
        log.close()


def test_the_oldest_is_forgotten_beyond_the_bound() -> None:
    log = MemoryRecordLog(kept=2)
    for n in range(4):
        log.append(a_record(f"ex_{n}", response_id=f"resp_{n // 2}", started_at_ns=n))
    assert [record.exchange_id for record in log.records()] == ["ex_3", "ex_2"]
    assert log.trail("resp_0") is None
    assert log.trail("resp_1") == Trail("openai", counted=True)
