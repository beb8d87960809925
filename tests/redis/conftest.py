"""Servers of a test's own, and observers of the Redis workload."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaosdrills.host.nodes import Cluster
from chaosdrills.lab import redis
from chaosdrills.redis import health
from chaosdrills.redis.way import way_of
from tests.observe.observed import Observed, observing
from tests.redis.servers import BOTH, Group, Start, program, starting

WORKLOAD = "chaosdrills.redis.workload:RedisWorkload"
StartDrill = Callable[..., Observed]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers and sentinels; see `tests.redis.servers.starting`."""
    with starting(tmp_path) as begin:
        yield begin


@pytest.fixture(params=list(BOTH))
def flavour(request: pytest.FixtureRequest) -> str:
    """Each server that there is on this machine."""
    if program(request.param) is None:
        pytest.skip(f"there is no {BOTH[request.param]} here")
    return str(request.param)


@pytest.fixture
def group(start: Start, flavour: str) -> Group:
    """One primary, two replicas and three sentinels, which know one another."""
    made = Group(start, flavour=flavour)
    health.wait_whole(way_of({"redis_url": made.url}, {}), 30)
    return made


@pytest.fixture
def start_drill(tmp_path: Path) -> Iterator[StartDrill]:
    """Starts observers, with the workload's `url` and its other arguments; ends them all."""
    with observing("redis", WORKLOAD, tmp_path) as begin:
        yield lambda url, **more: begin(url=url, **more)


@pytest.fixture
def url(redis_lab: Cluster) -> str:
    """How the lab is reached."""
    return redis.configuration(redis_lab)[redis.ENDPOINT_KEY]
