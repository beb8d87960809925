"""Servers of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis.servers import Group, Start, starting


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers and sentinels; see `tests.redis.servers.starting`."""
    with starting(tmp_path) as begin:
        yield begin


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """One primary, two replicas and three sentinels for a module; a test leaves them whole."""
    with starting(tmp_path_factory.mktemp("group")) as begin:
        yield Group(begin)
