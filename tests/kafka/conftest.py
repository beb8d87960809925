"""Drills on the real lab: an observer of the Kafka workload, and what was written to its topic by hand."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.history import History
from chaosdrills.faults import marking
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec

WORKLOAD = "chaosdrills.kafka.workload:KafkaWorkload"


class Drill:
    """An observer on the lab. `topic` is its topic, `drill_id` its id; `history` the record so far."""

    def __init__(self, endpoint: str, folder: Path, timeout_s: float = 60, **more: Any) -> None:
        spec = {name: more.pop(name) for name in ("rate_per_s", "max_in_flight", "eof_drain_s") if name in more}
        self.drill_id = more.pop("drill_id", f"test-{uuid.uuid4().hex[:12]}")
        self.record = folder / f"record-{self.drill_id}"
        arguments = {"bootstrap_servers": endpoint, **more}
        self.spec = ObserverSpec(self.drill_id, "kafka", WORKLOAD, self.record, arguments, **spec)
        self.session = ObserverSession.start(self.spec, folder, timeout_s)
        self.topic = self.session.ready["topic"]

    @property
    def history(self) -> History:
        return read_record(self.record)

    def clock_ns(self) -> int:
        """The instant now on the record's clock."""
        return boottime_ns() - self.session.origin_ns

    def wait_acked(self, count: int, timeout_s: float = 60) -> None:
        """Wait until `count` more writes were acknowledged."""
        before = self.session.snapshot()["acked"]
        done = wait_until(lambda: self.session.snapshot()["acked"] >= before + count, timeout_s)
        assert done, f"{count} writes were not acknowledged: {self.session.snapshot()}"

    def finish(self, drain_s: float = 30, readback_timeout_s: float = 60) -> dict[str, Any]:
        return self.session.finish(drain_s, readback_timeout_s)


StartDrill = Callable[..., Drill]


@pytest.fixture
def start_drill(kafka_lab: Cluster, tmp_path: Path) -> Iterator[StartDrill]:
    """Starts observers on the lab; ends them all. Arguments: those of `ObserverSpec` and of the workload."""
    drills = []

    def start(endpoint: str = kafka_lab.endpoint, **more: Any) -> Drill:
        drill = Drill(endpoint, tmp_path, **more)
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
