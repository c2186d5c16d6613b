"""Pages of metrics of several processes as one: each family once, with the samples of all. Pure.

Each sample bears the number of its process, so nothing is added up here: a process that is begun anew counts from 0,
and a sum over processes would then fall, which Prometheus takes for a new beginning of all of them.
"""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

_EOF = b"# EOF\n"


class Labelled(Collector):
    """What a collector collects, each sample with further labels."""

    def __init__(self, inner: Collector, labels: Mapping[str, str]) -> None:
        self._inner = inner
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Every family; samples are made as they are read."""
        for metric in self._inner.collect():
            made = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            made.samples = _Labelling(metric.samples, self._labels)
            yield made


class _Labelling(list[Sample]):
    def __init__(self, samples: Sequence[Sample], labels: Mapping[str, str]) -> None:
        super().__init__()
        self._samples = samples
        self._more = labels

    def __iter__(self) -> Iterator[Sample]:
        for sample in self._samples:
            yield sample._replace(labels={**sample.labels, **self._more})


def merged(pages: Sequence[bytes]) -> bytes:
    """One page of several, all in Prometheus' text format or all in OpenMetrics."""
    if len(pages) == 1:
        return pages[0]
    families: dict[bytes, list[bytes]] = {}
    for page in pages:
        for family in (b"\n" + page.removesuffix(_EOF)).split(b"\n# HELP ")[1:]:  # a label may hold anything but a line
            told, kind, samples = _parts(family)
            families.setdefault(told + kind, []).append(samples)
    end = _EOF if pages[0].endswith(_EOF) else b""
    return b"".join(b"# HELP " + head + b"".join(samples) for head, samples in families.items()) + end


def _parts(family: bytes) -> tuple[bytes, bytes, bytes]:
    """A family's HELP, its further comments such as TYPE and UNIT, and its samples."""
    lines = [line + b"\n" for line in family.rstrip(b"\n").split(b"\n")]
    comments = 1
    while comments < len(lines) and lines[comments].startswith(b"# "):
        comments += 1
    return lines[0], b"".join(lines[1:comments]), b"".join(lines[comments:])
