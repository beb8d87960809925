"""Servers of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.redis import health
from chaosdrills.redis.way import way_of
from tests.redis.servers import BOTH, Group, Start, program, starting


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
