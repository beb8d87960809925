"""Fixtures of the lab's own tests: folders of their own, and nothing left behind."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.host import nodes
from chaosdrills.lab import jars, supervision
from chaosdrills.lab.progress import quiet


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder for one test; at its end no process of a lab in it may be alive."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path / "state"
    left = {service: supervision.living(service) for service in ("kafka", "kafka-training", "toy")}
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


def folder_of(service: str) -> Path:
    """The folder of `service`'s lab in the state folder of the test."""
    return nodes.cluster_dir(service)
