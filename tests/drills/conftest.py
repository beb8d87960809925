"""A lab for all whole drills, quick to notice a dead broker; and what must hold after each of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.processes import identify, wait_until
from chaosdrills.kafka.client import Connection
from chaosdrills.kafka.health import wait_whole
from chaosdrills.lab import lifecycle
from tests.conftest import free_base_port
from tests.drills.chaos import Place, Run

QUICK = {"broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Three brokers of their own for all drills, in a state folder that only their runs know."""
    folder = tmp_path_factory.mktemp("drills")
    place = Place(folder, "", folder / "state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place.state))
        options = {"base_port": free_base_port(), "settings": QUICK}
        cluster = lifecycle.up("kafka", options, owner=identify(os.getpid()))
    try:
        yield Place(folder, cluster.endpoint, place.state)
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(place.state))
            lifecycle.down("kafka")


@pytest.fixture
def place(lab: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A folder for the runs of one test; afterwards nothing of them runs, nothing is unhealed, and the lab is whole."""
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.state))
    runs: list[Run] = []
    made = Place(tmp_path, lab.endpoint, lab.state, runs)
    try:
        yield made
        left = {run.folder.name: run.living() for run in runs}
        assert wait_until(lambda: not any(run.living() for run in runs), 10), f"processes were left: {left}"
        assert outstanding() == ([], []), "faults were left unhealed"
    finally:
        for run in runs:
            run.end_all()
        lab.drills("heal", "--force")
        wait_whole(Connection(lab.endpoint), (1, 2, 3), 60)
