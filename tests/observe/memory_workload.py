"""A log in memory as a workload, so that the observer's own promises are tested in seconds and without a driver.

Arguments: `silent` acknowledges nothing. `stall`: while the file of this name exists, nothing is acknowledged. `crash`:
once the file of this name exists, polling raises what no workload should. `refuse`: opening fails with this message.
`file_bytes`: no file of the observer may grow beyond this, as on a full disk. `slow_read_back_s` before each stream.
`broken_read_back` raises instead of reading. `opening`: a file of this name is made, and the opening waits until it is
gone. `closed`: what closing is told is written there.
"""

import resource
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chaosdrills.core.history import NO_TIME, Outcome, StreamKind
from chaosdrills.errors import UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.workload import Opened, Page, Progress, Survivors

STREAMS = 2


class MemoryWorkload:
    """Writes to two lists, acknowledged at the next poll."""

    stream_kind: StreamKind = "log"

    def __init__(self, drill_id: str, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._logs: list[array[int]] = [array("q") for _ in range(STREAMS)]
        self._pending: list[tuple[int, int, int]] = []
        self._next = 0

    def open(self, timeout_s: float) -> Opened:
        if "refuse" in self._arguments:
            raise UnavailableError(self._arguments["refuse"], "start it.")
        limit = self._arguments.get("file_bytes")
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        if "opening" in self._arguments:
            Path(self._arguments["opening"]).touch()
            while self._exists("opening"):
                time.sleep(0.01)
        return Opened(["a", "b"], {"flavour": "memory"})

    def begin(self, page: Page, reader_page: Page) -> None:
        self._page = page

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def oldest_in_flight_ns(self) -> int | None:
        return self._pending[0][2] if self._pending else None

    def send(self, intended_ns: Sequence[int]) -> None:
        for at_ns in intended_ns:
            stream, seq = self._take()
            self._pending.append((stream, seq, at_ns))

    def refuse(self, intended_ns: Sequence[int]) -> None:
        for at_ns in intended_ns:
            stream, seq = self._take()
            self._page.write(stream, seq, at_ns, boottime_ns(), Outcome.FAILED)

    def poll(self, timeout_s: float) -> None:
        if self._exists("crash"):
            raise RuntimeError("a defect of this workload")
        if not self._arguments.get("silent") and not self._exists("stall"):
            for stream, seq, at_ns in self._pending:
                self._logs[stream].append(seq)
                self._page.write(stream, seq, at_ns, boottime_ns(), Outcome.OK)
            self._pending.clear()
        time.sleep(timeout_s)

    def trouble(self) -> str:
        return "it says nothing" if self._arguments.get("silent") else ""

    def abandon(self) -> None:
        for stream, seq, at_ns in self._pending:
            self._page.write(stream, seq, at_ns, NO_TIME, Outcome.UNKNOWN)
        self._pending.clear()

    def end_reading(self) -> None:
        pass

    def read_back(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        if self._arguments.get("broken_read_back"):
            raise UnavailableError("the end cannot be found.", "look for it.")
        at_ns = boottime_ns()
        for stream, log in enumerate(self._logs):
            until = time.monotonic() + self._arguments.get("slow_read_back_s", 0)
            while time.monotonic() < until:
                progress(f"reading back: stream {stream}")
                time.sleep(0.02)
            yield Survivors(stream, at_ns, log)

    def findings(self) -> Mapping[str, Any]:
        return {"colour": "blue"}

    def checks(self) -> Sequence[tuple[str, bool, str]]:
        return [("kept its colour", True, "blue")]

    def close(self, done: bool) -> None:
        if "closed" in self._arguments:
            Path(self._arguments["closed"]).write_text(str(done))

    def _exists(self, argument: str) -> bool:
        return argument in self._arguments and Path(self._arguments[argument]).exists()

    def _take(self) -> tuple[int, int]:
        stream, seq = self._next % STREAMS, self._next // STREAMS
        self._next += 1
        return stream, seq
