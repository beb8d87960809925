"""The fault `stop`, on real processes."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.heal_log import outstanding, plan
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.node import node_target
from chaosdrills.faults.stop import Stop, stopping_within
from chaosdrills.host import nodes
from chaosdrills.host.processes import is_alive, is_paused, send_signal, wait_until
from tests.faults import toy
from tests.faults.conformance import FaultConformance

# A server that says when it is up, and that takes no notice of SIGTERM but a note.
STUBBORN = """
import signal, pathlib, sys
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path("asked").touch())
pathlib.Path("ready").touch()
while True: signal.pause()
"""


@pytest.fixture
def fault():
    return Stop()


@pytest.fixture
def target(cluster):
    return node_target(cluster, 2, "server 2", "id")


class TestStop(FaultConformance):
    @pytest.fixture
    def served(self, cluster):
        return lambda: toy.answers(cluster.node(2).endpoint)


def test_hits_only_its_target(fault, target, cluster):
    fault.inject(target)
    assert [node.alive for node in cluster.nodes] == [True, False, True]


def test_a_node_ends_by_the_signal_that_it_can_answer(fault, cluster, tmp_path):
    code = "import signal, pathlib, sys; signal.signal(15, lambda *_: (pathlib.Path('graceful').touch(), sys.exit()))"
    target = restarted(cluster, f"{code}; pathlib.Path('ready').touch(); signal.pause()", tmp_path)
    fault.inject(target)
    assert (tmp_path / "graceful").exists()


def test_a_paused_node_cannot_end_in_good_order(fault, target, cluster):
    send_signal(cluster.node(2).process, signal.SIGSTOP)
    assert wait_until(lambda: is_paused(cluster.node(2).process), 10)
    with pytest.raises(UnavailableError, match="server 2 is paused, so it cannot end in good order: nothing was hit"):
        inject(fault, [target])
    assert outstanding() == ([], [])
    send_signal(cluster.node(2).process, signal.SIGCONT)


@pytest.fixture
def stubborn(cluster, tmp_path):
    return stopping_within(restarted(cluster, STUBBORN, tmp_path), 0.5)


def restarted(cluster, code, folder):
    """The target of server 2, which is now a process that runs `code`."""
    changed = toy.now()
    changed.node(2).argv = [sys.executable, "-c", code]
    nodes.save(changed)
    send_signal(cluster.node(2).process, signal.SIGKILL)
    assert wait_until(lambda: not cluster.node(2).alive, 10)
    nodes.start_node(toy.SERVICE, 2)
    assert wait_until(lambda: (folder / "ready").exists(), 20)
    return node_target(toy.now(), 2, "server 2", "id")


def test_a_node_that_does_not_end_in_time_is_killed_and_that_is_no_stop(fault, stubborn, tmp_path, marks):
    with pytest.raises(UnavailableError, match=r"did not end within 0\.5 s of SIGTERM, and was killed\.") as raised:
        inject(fault, [stubborn])
    assert "'timeout_s'" in raised.value.hint
    assert (tmp_path / "asked").exists()
    assert not toy.now().node(2).alive
    assert [name for name, _ in marks] == ["fault_begin"]
    assert [entry.fault for entry in outstanding()[0]] == ["stop"]


def test_a_stop_that_is_interrupted_leaves_a_node_that_is_down(fault, stubborn, tmp_path):
    def ctrl_c():
        assert wait_until((tmp_path / "asked").exists, 20)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=ctrl_c)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        inject(fault, [stopping_within(stubborn, 60)])
    thread.join()
    assert not toy.now().node(2).alive
    assert [entry.fault for entry in outstanding()[0]] == ["stop"]


def test_a_stop_that_cannot_be_written_down_is_none(fault, target, cluster, monkeypatch):
    def full(service, victim):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("chaosdrills.faults.stop.note_stopping", full)
    with pytest.raises(OSError, match="No space left"):
        inject(fault, [target])
    assert toy.answers(cluster.node(2).endpoint)


INJECTOR = """
import json, sys
from chaosdrills.faults.fault import Target
from chaosdrills.faults.injection import inject
from chaosdrills.faults.stop import Stop
inject(Stop(), [Target(**json.loads(sys.argv[1]))])
"""


def test_a_node_that_is_still_about_to_end_is_not_taken_for_whole(fault, stubborn, cluster, tmp_path):
    """`chaos` is killed while the node shuts down: heal must not leave that to the node."""
    patient = stopping_within(stubborn, 300)
    with subprocess.Popen([sys.executable, "-c", INJECTOR, json.dumps(asdict(patient))]) as injector:
        assert wait_until(lambda: (tmp_path / "asked").exists(), 20)
        injector.kill()
    victim = toy.now().node(2).process
    assert is_alive(victim)
    changed = toy.now()
    changed.node(2).argv = cluster.node(2).argv
    nodes.save(changed)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed"]
    assert not is_alive(victim)
    assert toy.answers(cluster.node(2).endpoint)


def test_a_node_that_was_never_told_is_left_running(fault, target, cluster):
    """`chaos` is killed between heal log and signal."""
    plan(fault.name, target)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do"]
    assert cluster.node(2).alive
