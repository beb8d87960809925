"""A service that forgets what it has acknowledged."""

from array import array
from collections.abc import Iterator

from chaosdrills.observe.workload import Progress, Survivors
from tests.observe.memory_workload import MemoryWorkload


class ForgetfulWorkload(MemoryWorkload):
    """`MemoryWorkload` whose newest acknowledged writes are gone."""

    def read_back(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        for found in super().read_back(timeout_s, progress):
            yield Survivors(found.stream, found.at_ns, array("q", found.seqs[:-3]))
