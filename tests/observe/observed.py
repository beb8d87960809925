"""Observers at work on real servers, for the tests of every workload."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaosdrills.core.history import History, Outcome
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec

OF_THE_OBSERVER = ("rate_per_s", "max_in_flight", "eof_drain_s")


class Observed:
    """An observer of a workload of `service`. `drill_id` is its id; `history` the record so far.

    `given` are the workload's arguments, and those of `ObserverSpec` that are in `OF_THE_OBSERVER`.
    """

    def __init__(self, service: str, workload: str, folder: Path, timeout_s: float = 60, **given: Any) -> None:
        spec = {name: given.pop(name) for name in OF_THE_OBSERVER if name in given}
        self.drill_id = given.pop("drill_id", uuid.uuid4().hex[:8])
        self.folder = folder
        self.record = folder / f"record-{self.drill_id}"
        self.spec = ObserverSpec(self.drill_id, service, workload, self.record, given, **spec)
        self.session = ObserverSession.start(self.spec, folder, timeout_s)

    @property
    def history(self) -> History:
        return read_record(self.record)

    @property
    def log(self) -> str:
        """What the observer said."""
        return (self.folder / "observer.log").read_text()

    def clock_ns(self) -> int:
        """The instant now on the record's clock."""
        return boottime_ns() - self.session.origin_ns

    def wait_acked(self, count: int, timeout_s: float = 60) -> None:
        """Wait until `count` more writes were acknowledged."""
        before = self.session.snapshot()["acked"]
        done = wait_until(lambda: self.session.snapshot()["acked"] >= before + count, timeout_s)
        assert done, f"{count} writes were not acknowledged: {self.session.snapshot()}\n{self.log}"

    def finish(self, drain_s: float = 30, readback_timeout_s: float = 60) -> dict[str, Any]:
        return self.session.finish(drain_s, readback_timeout_s)

    def survivors(self) -> dict[int, list[int]]:
        """What the read-back found, by stream."""
        return {stream: list(final.seqs) for stream, final in self.history.finals.items()}

    def written(self, outcome: Outcome) -> dict[int, set[int]]:
        """The seqs of the writes with this outcome, by stream."""
        writes = self.history.writes
        chosen = writes.select(writes.outcome == outcome)
        streams = range(len(self.history.streams))
        return {stream: set(chosen.seq[chosen.stream == stream].tolist()) for stream in streams}


@contextmanager
def observing(service: str, workload: str, folder: Path) -> Iterator[Callable[..., Observed]]:
    """Starts observers, with the workload's arguments; ends them all."""
    drills: list[Observed] = []

    def start(**given: Any) -> Observed:
        drills.append(Observed(service, workload, folder, **given))
        return drills[-1]

    yield start
    for drill in drills:
        drill.session.close()
        assert not drill.session.alive
