"""The fault `kill`, on real processes."""

import os
import signal

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_target
from chaosdrills.host import nodes
from chaosdrills.host.processes import Identity, identify, is_alive, send_signal
from tests.faults import toy
from tests.faults.conformance import FaultConformance


@pytest.fixture
def fault():
    return Kill()


@pytest.fixture
def target(cluster):
    return node_target(cluster, 2, "server 2", "id")


class TestKill(FaultConformance):
    @pytest.fixture
    def served(self, cluster):
        return lambda: toy.answers(cluster.node(2).endpoint)


def test_hits_only_its_target(fault, target, cluster):
    fault.inject(target)
    assert [node.alive for node in cluster.nodes] == [True, False, True]


def test_a_paused_node_is_killed_too(fault, target, cluster):
    send_signal(cluster.node(2).process, signal.SIGSTOP)
    fault.inject(target)
    assert not cluster.node(2).alive


def test_a_process_that_took_over_the_pid_is_left_alone(fault, cluster):
    bystander = cluster.node(3).process
    handle = {"node": 3, "pid": bystander.pid, "start_ticks": bystander.start_ticks - 1}
    target = Target(toy.SERVICE, "server 3", "id", handle)
    with pytest.raises(UnavailableError, match="nothing was hit"):
        fault.inject(target)
    assert is_alive(bystander)


def test_a_node_that_does_not_run_is_no_target(fault, target, cluster):
    fault.inject(target)
    with pytest.raises(UnavailableError, match="server 2 of the toy lab does not run"):
        node_target(toy.now(), 2, "server 2", "id")


def test_an_unknown_node_is_no_target(cluster):
    with pytest.raises(UnavailableError, match="the toy lab has no node 9") as raised:
        node_target(cluster, 9, "server 9", "id")
    assert raised.value.hint == "choose one of 1, 2, 3."


def test_nothing_to_heal_where_the_lab_is_gone(fault, target):
    fault.inject(target)
    nodes.forget(toy.SERVICE)
    assert not fault.needs_heal(target)
    assert not fault.heal(target)
    fault.wait_healed(target, 1)


def test_nothing_to_heal_where_the_labs_owner_is_dead(fault, target):
    fault.inject(target)
    cluster = toy.now()
    me = identify(os.getpid())
    cluster.owner = Identity(me.pid, me.start_ticks - 1)
    nodes.save(cluster)
    assert not fault.needs_heal(target)
    cluster.owner = me
    nodes.save(cluster)
    assert fault.needs_heal(target)


def test_a_node_that_ends_again_is_not_healed(fault, target, tmp_path):
    fault.inject(target)
    cluster = toy.now()
    cluster.node(2).argv = ["/bin/sh", "-c", "until [ -e end ]; do :; done"]
    nodes.save(cluster)
    assert fault.heal(target)
    (tmp_path / "end").touch()
    with pytest.raises(UnavailableError, match=r"server 2 was started and ended at once\.") as raised:
        fault.wait_healed(target, 30)
    assert raised.value.hint == f"read its log, {cluster.node(2).log}, and run 'chaos drills heal' again."


def test_a_node_that_never_listens_is_not_healed(fault, target):
    fault.inject(target)
    cluster = toy.now()
    cluster.node(2).argv = ["/bin/sleep", "60"]
    nodes.save(cluster)
    assert fault.heal(target)
    with pytest.raises(UnavailableError, match=r"does not accept connections at 127\.0\.0\.1:\d+ after 0\.3 s"):
        fault.wait_healed(target, 0.3)
