"""A lab that was up beforehand is not ended under a drill, also while that has no fault outstanding."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import nodes
from chaosdrills.host.processes import Identity
from chaosdrills.lab import lifecycle, users
from tests.conftest import REDIS_OFFSETS, free_base_port

FINDS = (
    "import signal; from chaosdrills.host.processes import this_process; from chaosdrills.lab import lifecycle; "
    "lifecycle.up('redis', owner=this_process()); print('found', flush=True); signal.pause()"
)


@pytest.fixture
def drill(own_state: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which uses a lab that somebody has started by hand."""
    lifecycle.up("redis", {"base_port": free_base_port(REDIS_OFFSETS)})
    process = subprocess.Popen([sys.executable, "-c", FINDS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "found\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        lifecycle.down("redis")


def test_a_lab_is_not_ended_under_a_drill_unless_by_force(drill: subprocess.Popen[str]) -> None:
    with pytest.raises(UnavailableError, match=rf"process {drill.pid} runs a drill on the redis lab\.") as caught:
        lifecycle.down("redis", force=False)
    assert "'chaos drills abort'" in caught.value.hint
    cluster = nodes.load("redis")
    assert cluster is not None
    assert all(node.alive for node in cluster.nodes)
    assert lifecycle.down("redis")
    assert users.living("redis") == []


def test_a_drill_that_is_dead_keeps_nobody_from_it(drill: subprocess.Popen[str]) -> None:
    assert [user.pid for user in users.living("redis")] == [drill.pid]
    drill.kill()
    drill.wait()
    assert lifecycle.down("redis", force=False)


def test_what_is_no_process_is_no_user(own_state: Path) -> None:
    assert users.living("toy") == []
    users.join("toy", Identity(1, 1))
    (nodes.cluster_dir("toy") / "users" / "readme").touch()
    assert users.living("toy") == []
