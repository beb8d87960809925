"""The fault `pause`, on real processes."""

import signal

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import pause
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.node import node_target
from chaosdrills.faults.pause import Pause
from chaosdrills.host import nodes
from chaosdrills.host.processes import is_paused, send_signal, thread_states, wait_gone
from tests.faults import toy
from tests.faults.conformance import FaultConformance

PATIENCE_S = 2


@pytest.fixture
def fault():
    return Pause()


@pytest.fixture
def target(cluster):
    return node_target(cluster, 2, "server 2", "id")


class TestPause(FaultConformance):
    @pytest.fixture
    def served(self, cluster):
        return lambda: toy.answers(cluster.node(2).endpoint, PATIENCE_S)


def test_it_stands_still_and_keeps_its_process_and_its_port(fault, target, cluster):
    process = cluster.node(2).process
    fault.inject(target)
    assert is_paused(process)
    assert not is_paused(cluster.node(1).process)
    fault.heal(target)
    fault.wait_healed(target, 60)
    assert "T" not in thread_states(process)
    assert toy.now().node(2).process == process


def test_a_node_that_died_while_it_was_paused_is_started_again(fault, target, cluster):
    inject(fault, [target])
    send_signal(cluster.node(2).process, signal.SIGKILL)
    assert wait_gone([cluster.node(2).process], 10) == []
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed"]
    assert toy.answers(cluster.node(2).endpoint)


def test_a_node_that_died_and_cannot_be_started_is_said_and_not_forgotten(fault, target, cluster):
    inject(fault, [target])
    send_signal(cluster.node(2).process, signal.SIGKILL)
    assert wait_gone([cluster.node(2).process], 10) == []
    broken = toy.now()
    broken.node(2).argv = ["/nonexistent/server"]
    nodes.save(broken)
    [outcome] = heal_outstanding().outcomes
    assert (outcome.result, outcome.why) == ("failed", "cannot start /nonexistent/server: No such file or directory.")
    assert [entry.fault for entry in outstanding()[0]] == ["pause"]


def test_one_that_was_started_again_by_hand_needs_no_heal(fault, target, cluster):
    inject(fault, [target])
    send_signal(cluster.node(2).process, signal.SIGKILL)
    assert wait_gone([cluster.node(2).process], 10) == []
    nodes.start_node(toy.SERVICE, 2)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do"]


def test_one_that_goes_on_by_hand_needs_no_heal(fault, target, cluster):
    inject(fault, [target])
    send_signal(cluster.node(2).process, signal.SIGCONT)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do"]


def test_a_process_that_does_not_stand_still_goes_on(fault, target, cluster, monkeypatch):
    monkeypatch.setattr(pause, "STOPPED_TIMEOUT_S", 0.2)
    monkeypatch.setattr(pause, "is_paused", lambda identity: False)
    with pytest.raises(UnavailableError, match=r"does not stand still within 0\.2 s of SIGSTOP; it goes on\."):
        fault.inject(target)
    assert "T" not in thread_states(cluster.node(2).process)
    assert toy.answers(cluster.node(2).endpoint)
