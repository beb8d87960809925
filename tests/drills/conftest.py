"""Labs for all whole drills, quick to notice a loss; and what must hold after each of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.processes import wait_until
from tests.drills.chaos import Place, Run
from tests.drills.services import KAFKA, Service
from tests.shared_labs import SharedLabs, lab_in, state_in

LabFor = Callable[[Service], AbstractContextManager[Place]]


@contextmanager
def lab_of(service: Service, folder: Path) -> Iterator[Place]:
    """A lab for all drills on a service, in a state folder that only their runs know."""
    state = folder / "state"
    with lab_in(state, service.name, service.options()) as cluster:
        with state_in(state):
            way = service.way(cluster)
        yield Place(folder, cluster.endpoint, state, service=service, way=way)


@pytest.fixture(scope="module")
def lab_for(shared_labs: SharedLabs, tmp_path_factory: pytest.TempPathFactory) -> LabFor:
    """The lab of a service for all drills, while it is held."""
    return lambda service: shared_labs.held(
        f"drills on {service}", lambda: lab_of(service, tmp_path_factory.mktemp("drills"))
    )


@pytest.fixture(scope="module")
def lab(lab_for: LabFor) -> Iterator[Place]:
    """The lab of all tests that are about no certain service, which has Kafka; a file may have another one."""
    with lab_for(KAFKA) as found:
        yield found


@pytest.fixture
def place(lab: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A folder for the runs of one test; afterwards nothing of them runs, nothing is unhealed, and the lab is whole."""
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.state))
    made = lab.at(tmp_path)
    runs: list[Run] = made.runs
    try:
        yield made
        left = {run.folder.name: run.living() for run in runs}
        assert wait_until(lambda: not any(run.living() for run in runs), 10), f"processes were left: {left}"
        assert outstanding() == ([], []), "faults were left unhealed"
    finally:
        for run in runs:
            run.end_all()
        lab.drills("heal", "--force")
        lab.service.wait(lab.way)


@pytest.fixture
def ended(started: dict[str, Run], request: pytest.FixtureRequest) -> Run:
    """One of the drills that a file has `started` together, at its end."""
    run = started[request.param]
    run.end()
    assert run.living() == []
    return run
