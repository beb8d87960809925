"""A rolling restart of real brokers: in order, marked, on the lab and by command, and broken off in the middle."""

import json
import re
import subprocess
import sys

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.faults import lock
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host import nodes
from chaosdrills.host.processes import wait_until
from chaosdrills.kafka.actions import heal_brokers, kill_broker, restart_brokers
from chaosdrills.kafka.roles import active_controller
from tests.faults.commands import argvs
from tests.kafka.brokers import elsewhere, listening, make_whole, new_topic, run_heal, running, settings

pytestmark = pytest.mark.lab


@pytest.fixture
def lab(kafka_lab):
    make_whole(kafka_lab)
    yield kafka_lab
    make_whole(kafka_lab)


def processes():
    return {node.id: node.process for node in nodes.load("kafka").nodes}


def test_each_in_turn_the_active_controller_last(lab, marks, caplog):
    caplog.set_level("INFO")
    new_topic(lab, partitions=3)
    controller, before = active_controller(nodes.load("kafka")), processes()
    done = restart_brokers(configuration=settings(lab))
    order = [int(broker) for broker in done["brokers"].split(", ")]
    assert (done["restarted"], order[-1], sorted(order)) == (3, controller, [1, 2, 3])
    after = processes()
    assert [broker for broker in (1, 2, 3) if before[broker] == after[broker]] == []
    stops = [f"stop of broker {broker} (rolling restart, {at} of 3)" for at, broker in enumerate(order, 1)]
    expected = []
    for what in stops:
        expected += [("fault_begin", what), ("fault_end", what)]
        expected += [("heal_begin", f"heal of {what}"), ("heal_end", f"heal of {what}")]
    assert marks == expected
    assert (listening(lab), outstanding(), lock.held_by()) == ({1, 2, 3}, ([], []), "")
    assert f"restarting 3 brokers, one at a time: {done['brokers']}" in caplog.text
    assert len(re.findall(r"in sync [0-9.]+ s after broker \d \(rolling restart, \d of 3\)", caplog.text)) == 3


def test_by_command_one_that_is_named(lab, marks):
    before = processes()
    done = restart_brokers([2], target="command", **argvs("kafka", "stop"), configuration=elsewhere(lab))
    assert (done["restarted"], done["brokers"]) == (1, "2")
    assert [broker for broker in (1, 2, 3) if before[broker] != processes()[broker]] == [2]
    what = "stop by command of broker 2 (rolling restart, 1 of 1)"
    assert [mark for mark in marks if mark[0] == "fault_end"] == [("fault_end", what)]
    with pytest.raises(ActivityFailed, match=r"the cluster has no broker 7\. Try: choose from 1, 2, 3\."):
        restart_brokers([7], configuration=settings(lab))
    with pytest.raises(ActivityFailed, match="no broker is named, and by command not all are meant unasked"):
        restart_brokers(target="command", **argvs("kafka", "stop"), configuration=elsewhere(lab))


def test_a_cluster_that_is_degraded_is_left_alone(lab, marks):
    kill_broker("id", broker_id=3, configuration=settings(lab))
    before = processes()
    with pytest.raises(ActivityFailed, match=r"the cluster is degraded already \(.*broker 3\): nothing was restarted"):
        restart_brokers([1], configuration=settings(lab))
    assert processes() == before


def test_a_broker_that_does_not_start_again_ends_it_and_stays_in_the_heal_log(lab, marks):
    with nodes.changing("kafka"):
        cluster = nodes.load("kafka")
        argv = cluster.node(1).argv
        cluster.node(1).argv = ["/nonexistent/java"]
        nodes.save(cluster)
    with pytest.raises(ActivityFailed, match="cannot start /nonexistent/java"):
        restart_brokers([1, 2], configuration=settings(lab))
    with nodes.changing("kafka"):
        cluster = nodes.load("kafka")
        cluster.node(1).argv = argv
        nodes.save(cluster)
    down = {1, 2, 3} - running(lab)
    assert down == {1}, "only the broker that did not start is down"
    assert [entry.target.handle["node"] for entry in outstanding("kafka")[0]] == [1]
    assert lock.held_by()
    assert heal_brokers(configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert listening(lab) == {1, 2, 3}


RESTART = """
import json, sys
from chaosdrills.kafka.actions import restart_brokers
restart_brokers([3], configuration=json.loads(sys.argv[1]))
"""


@pytest.mark.parametrize("ending", ["kill", "ctrl-c"])
def test_one_that_is_broken_off_leaves_nothing_down_for_long(lab, tmp_path, ending):
    argv = [sys.executable, "-c", RESTART, json.dumps(settings(lab))]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, start_new_session=True) as restart:
        told = wait_until(lambda: nodes.load("kafka").node(3).stopping, 60, 0.005)
        assert told, "broker 3 was not told to end"
        restart.kill() if ending == "kill" else restart.send_signal(2)
        restart.wait(30)
    assert [entry.target.handle["node"] for entry in outstanding("kafka")[0]] == [3]
    healed = run_heal(tmp_path)
    assert (healed.returncode, healed.stdout) == (0, "healed: stop of broker 3 (rolling restart, 1 of 1)\n")
    assert listening(lab) == {1, 2, 3}
