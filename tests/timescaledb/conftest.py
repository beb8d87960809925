"""Drills on the real lab: an observer of the PostgreSQL workload, and sessions of one's own beside it."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.history import History, Outcome
from chaosdrills.faults import marking
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec
from tests.timescaledb.servers import dsn_of

WORKLOAD = "chaosdrills.timescaledb.workload:TimescaleDBWorkload"


class Drill:
    """An observer on the lab. `schema` is its own, `drill_id` its id; `history` the record so far."""

    def __init__(self, dsn: str, folder: Path, timeout_s: float = 60, **more: Any) -> None:
        spec = {name: more.pop(name) for name in ("rate_per_s", "max_in_flight", "eof_drain_s") if name in more}
        self.drill_id = more.pop("drill_id", uuid.uuid4().hex[:8])
        self.folder = folder
        self.record = folder / f"record-{self.drill_id}"
        self.spec = ObserverSpec(self.drill_id, "timescaledb", WORKLOAD, self.record, {"dsn": dsn, **more}, **spec)
        self.session = ObserverSession.start(self.spec, folder, timeout_s)
        self.schema = self.session.ready["schema"]

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


StartDrill = Callable[..., Drill]


@pytest.fixture
def start_drill(timescaledb_lab: Cluster, tmp_path: Path) -> Iterator[StartDrill]:
    """Starts observers on the lab; ends them all. Arguments: those of `ObserverSpec` and of the workload."""
    drills = []

    def start(dsn: str = "", **more: Any) -> Drill:
        drill = Drill(dsn or dsn_of(timescaledb_lab), tmp_path, **more)
        drills.append(drill)
        return drill

    yield start
    for drill in drills:
        drill.session.close()
        assert not drill.session.alive


@pytest.fixture
def marks() -> list[tuple[str, str]]:
    """The marks that faults and heals of the test make: name and label."""
    kept: list[tuple[str, str]] = []
    marking.set_marker(lambda name, label, at_ns: kept.append((name, label)), "test drill")
    return kept
