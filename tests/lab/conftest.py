"""Fixtures of the lab's own tests: folders of their own, and nothing left behind."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.lab import jars, supervision
from chaosdrills.lab.progress import quiet


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder for one test, with a name of the harder kind; at its end no process of a lab in it may live."""
    folder = tmp_path / "state \u00fc \U0001f600"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    yield folder
    left = {
        service: supervision.living(service) for service in ("kafka", "kafka-training", "timescaledb", "redis", "toy")
    }
    for service in left:
        supervision.end(service)
    assert not any(left.values()), f"processes were left running: {left}"


@pytest.fixture(scope="session")
def real_jars() -> jars.Jars:
    """Kafka's jars in the user's own cache."""
    return jars.find_jars(quiet)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_jars: jars.Jars) -> Path:
    """A cache folder for one test with a copy of the jars, and nothing else."""
    root = tmp_path / "cache" / "chaosdrills" / "kafka" / jars.VERSION
    shutil.copytree(real_jars.paths[0].parent, root / "libs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root
