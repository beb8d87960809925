"""Real Feast, in its environment, and a repository of the kind that the lab has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.feast.environment import Environment, find_environment
from chaosdrills.lab import feast_repository
from tests.feast.servers import Valkey


@pytest.fixture(scope="session")
def feast() -> Environment:
    """Made if it is not there yet: 590 MB, a few minutes."""
    return find_environment(print)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey.started(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def repository(feast: Environment, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's repository, applied, on a server of the test's own."""
    folder = tmp_path_factory.mktemp("feast") / "repository"
    settings = feast_repository.settings_of(valkey.address)
    feast_repository.lay_out(feast, folder, settings, print)
    return folder
