"""A service that fails one of fifty writes, for ever."""

from collections.abc import Sequence

from chaosdrills.core.history import Outcome
from chaosdrills.host.clock import boottime_ns
from tests.observe.memory_workload import MemoryWorkload


class FlakyWorkload(MemoryWorkload):
    """`MemoryWorkload` with background errors."""

    def send(self, intended_ns: Sequence[int]) -> None:
        for at_ns in intended_ns:
            stream, seq = self._take()
            if seq % 50 == 49:
                self._page.write(stream, seq, at_ns, boottime_ns(), Outcome.FAILED)
            else:
                self._pending.append((stream, seq, at_ns))
