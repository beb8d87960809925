"""Fixtures of the faults' tests: a state folder of their own, a toy cluster in it, a marker that keeps its marks."""

import pytest

from chaosdrills.faults import lock, marking
from tests.faults.toy import toy_cluster


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    yield folder / "chaosdrills"
    lock.release()
    marking.set_marker(None)


@pytest.fixture
def cluster(state, tmp_path):
    with toy_cluster(tmp_path) as running:
        yield running


@pytest.fixture
def marks():
    kept = []
    marking.set_marker(lambda name, label, at_ns: kept.append((name, label)), "a drill")
    return kept
