"""Real Feast, in its environment, a repository of the kind that the lab has, and observers of the features workload."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaosdrills.feast.environment import Environment, find_environment
from chaosdrills.host.nodes import Cluster
from chaosdrills.lab import feast_repository, redis
from tests.observe.observed import Observed, observing
from tests.redis.servers import Process, Start, starting

WORKLOAD = "chaosdrills.feast.workload:FeaturesWorkload"
StartDrill = Callable[..., Observed]


@pytest.fixture(scope="session")
def feast() -> Environment:
    """Made if it is not there yet: 590 MB, a few minutes."""
    return find_environment(print)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One server for a module."""
    with starting(tmp_path_factory.mktemp("valkey")) as start:
        yield start()


@pytest.fixture(scope="module")
def repository(feast: Environment, valkey: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's repository, applied, on a server of the test's own."""
    folder = tmp_path_factory.mktemp("feast") / "repository"
    settings = feast_repository.settings_of(valkey.address)
    feast_repository.lay_out(feast, folder, settings, print)
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers; see `tests.redis.servers.starting`."""
    with starting(tmp_path) as begin:
        yield begin


@pytest.fixture
def start_drill(tmp_path: Path) -> Iterator[StartDrill]:
    """Starts observers, with the workload's `url` and its other arguments; ends them all."""
    with observing("redis", WORKLOAD, tmp_path) as begin:
        yield lambda url, **more: begin(url=url, **more)


@pytest.fixture
def url(redis_lab: Cluster) -> str:
    """How the lab is reached."""
    return redis.configuration(redis_lab)[redis.ENDPOINT_KEY]
