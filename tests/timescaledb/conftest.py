"""Drills on the real lab: an observer of the PostgreSQL workload, and sessions of one's own beside it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.faults import marking
from chaosdrills.host.nodes import Cluster
from tests.observe.observed import Observed
from tests.timescaledb.servers import dsn_of

WORKLOAD = "chaosdrills.timescaledb.workload:TimescaleDBWorkload"


class Drill(Observed):
    """An observer on the lab. `schema` is its own."""

    def __init__(self, dsn: str, folder: Path, timeout_s: float = 60, **more: Any) -> None:
        super().__init__("timescaledb", WORKLOAD, folder, timeout_s, dsn=dsn, **more)
        self.schema = self.session.ready["schema"]


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
