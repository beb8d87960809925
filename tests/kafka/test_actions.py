"""Faults on real brokers: killed by role, seen by clients, marked, healed, and refused where they must be."""

import subprocess
import sys

import pytest
from chaoslib.exceptions import ActivityFailed
from chaoslib.provider.python import run_python_activity, validate_python_activity

from chaosdrills.faults import marking
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host import nodes
from chaosdrills.host.processes import wait_until
from chaosdrills.kafka.actions import heal_brokers, kill_broker, start_broker, wait_whole
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.probes import cluster_whole
from chaosdrills.kafka.roles import active_controller
from tests.kafka.brokers import (
    last_controller,
    leader_of,
    listening,
    make_whole,
    new_topic,
    run_heal,
    running,
    settings,
)

pytestmark = pytest.mark.lab

NOTHING = {"healed": 0, "nothing_to_do": 0}


@pytest.fixture
def lab(kafka_lab):
    yield kafka_lab
    make_whole(kafka_lab)


def test_the_toolkit_kills_the_leader_and_heals_it_and_both_are_marked(lab, marks):
    topic = new_topic(lab)
    leader = leader_of(lab, topic)
    activity = {
        "type": "action",
        "name": "kill the leader",
        "provider": {
            "type": "python",
            "module": "chaosdrills.kafka.actions",
            "func": "kill_broker",
            "arguments": {"role": "leader", "partition": "${partition}"},
        },
    }
    validate_python_activity(activity)
    killed = run_python_activity(activity, {**settings(lab, topic), "partition": "0"}, {})
    what = f"kill -9 of broker {leader} (leader of {topic}/0)"
    assert killed == {"killed": 1, "brokers": str(leader), "what": what}
    assert running(lab) == listening(lab) == {1, 2, 3} - {leader}
    assert marks == [("fault_begin", what), ("fault_end", what)]
    assert [entry.drill for entry in outstanding("kafka")[0]] == ["test drill"]

    seen = cluster_whole(configuration=settings(lab))
    assert not seen["whole"], "a broker that was just killed still counts as there"
    with pytest.raises(ActivityFailed) as raised:
        wait_whole(0.5, configuration=settings(lab))
    assert f"the Kafka cluster is not whole after 0.5 s: no whole view from broker {leader}. Try: " in str(raised.value)

    assert heal_brokers(configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert listening(lab) == {1, 2, 3}
    assert marks[2:] == [("heal_begin", f"heal of {what}"), ("heal_end", f"heal of {what}")]
    assert heal_brokers(configuration=settings(lab)) == NOTHING
    assert len(marks) == 4

    whole = wait_whole(90, configuration=settings(lab))
    assert whole == {"brokers": 3, "under_replicated": 0, "preferred": True, "waited_s": whole["waited_s"]}
    assert leader_of(lab, topic) == leader
    assert cluster_whole(configuration=settings(lab))["whole"]


def test_the_active_controller_is_killed_and_another_is_found(lab, marks):
    before = last_controller(lab)
    killed = kill_broker("controller", configuration=settings(lab))
    assert killed["what"] == f"kill -9 of broker {before} (active controller)"
    assert listening(lab) == {1, 2, 3} - {before}
    after = active_controller(nodes.load("kafka"))
    assert after != before
    assert wait_until(lambda: last_controller(lab) == after, 20), f"the brokers' logs do not say that it is {after}"
    second = kill_broker("random", seed=5, configuration=settings(lab))
    assert second["what"].endswith("(at random, seed 5)")
    assert len(listening(lab)) == 1
    assert heal_brokers(configuration=settings(lab)) == {"healed": 2, "nothing_to_do": 0}
    assert listening(lab) == {1, 2, 3}


def test_followers_are_killed_together_and_started_by_their_role(lab, marks):
    topic = new_topic(lab)
    leader = leader_of(lab, topic)
    followers = {1, 2, 3} - {leader}
    killed = kill_broker("followers", configuration=settings(lab, topic))
    assert killed["killed"] == 2
    assert {int(each) for each in killed["brokers"].split(", ")} == followers
    assert [name for name, _ in marks] == ["fault_begin", "fault_end"]
    assert kill_broker("id", broker_id=leader, configuration=settings(lab))["brokers"] == str(leader)
    assert listening(lab) == set()

    assert start_broker("leader", configuration=settings(lab)) == NOTHING
    assert start_broker("followers", configuration=settings(lab)) == {"healed": 2, "nothing_to_do": 0}
    assert listening(lab) == followers
    assert start_broker("id", leader, configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert start_broker("id", leader, configuration=settings(lab)) == NOTHING
    assert [name for name, _ in marks] == ["fault_begin", "fault_end"] * 2 + ["heal_begin", "heal_end"] * 2


INJECTOR = """
import json, sys
from chaosdrills.kafka.actions import kill_broker
print(kill_broker("id", broker_id=3, configuration=json.loads(sys.argv[1]))["what"], flush=True)
sys.stdin.read()
"""


def test_what_a_killed_drill_left_is_healed_by_the_command_from_another_folder(lab, tmp_path):
    argv = [sys.executable, "-c", INJECTOR, f'{{"kafka_bootstrap_servers": "{lab.endpoint}"}}']
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as drill:
        try:
            assert drill.stdout.readline() == "kill -9 of broker 3\n"
            refused = run_heal(tmp_path)
            assert refused.returncode == 69
            assert f"process {drill.pid}, which injected it, still runs" in refused.stdout
            assert listening(lab) == {1, 2}
            assert heal_brokers(configuration=settings(lab)) == NOTHING
        finally:
            drill.kill()
    healed = run_heal(tmp_path, "--service", "kafka")
    assert (healed.returncode, healed.stdout) == (0, "healed: kill -9 of broker 3\n")
    assert listening(lab) == {1, 2, 3}
    again = run_heal(tmp_path)
    assert (again.returncode, again.stdout) == (0, "Nothing to heal.\n")


def test_a_drill_of_another_cluster_heals_and_marks_nothing_of_the_lab(lab, marks, tmp_path):
    argv = [sys.executable, "-c", INJECTOR, f'{{"kafka_bootstrap_servers": "{lab.endpoint}"}}']
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as earlier:
        assert earlier.stdout.readline() == "kill -9 of broker 3\n"
        earlier.kill()
    for servers in ("kafka.example:9092", f"{lab.endpoint},kafka.example:9092"):
        assert heal_brokers(configuration={"kafka_bootstrap_servers": servers}) == NOTHING
        assert start_broker("id", 3, configuration={"kafka_bootstrap_servers": servers}) == NOTHING
    assert (marks, listening(lab), len(outstanding("kafka")[0])) == ([], {1, 2}, 1)

    assert heal_brokers(configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert ([name for name, _ in marks], listening(lab)) == (["heal_begin", "heal_end"], {1, 2, 3})


def test_on_another_cluster_leaders_of_other_topics_are_left_alone(lab):
    """The lab under an address that is not written down as its own, as any cluster that is not the lab."""
    other_address = {"kafka_bootstrap_servers": lab.endpoint.split(",")[0].replace("127.0.0.1", "localhost")}
    ours, theirs = new_topic(lab), new_topic(lab, partitions=3)
    home = leader_of(lab, ours)
    at = next(partition for partition in range(3) if leader_of(lab, theirs, partition) == home)
    kill_broker("id", broker_id=home, configuration=settings(lab))
    assert wait_until(lambda: {leader_of(lab, ours), leader_of(lab, theirs, at)}.isdisjoint({home, None}), 60), "stuck"
    heal_brokers(configuration=settings(lab))
    assert wait_until(lambda: in_sync(lab, ours, theirs), 60), "not in sync again"
    away = leader_of(lab, theirs, at)
    assert home not in (away, leader_of(lab, ours))

    whole = wait_whole(60, configuration={**other_address, "kafka_topic": ours})
    assert whole == {"brokers": 3, "under_replicated": 0, "preferred": True, "waited_s": whole["waited_s"]}
    assert (leader_of(lab, ours), leader_of(lab, theirs, at)) == (home, away)
    assert wait_whole(60, configuration=other_address)["preferred"]
    assert leader_of(lab, theirs, at) == away
    wait_whole(60, configuration=settings(lab))
    assert leader_of(lab, theirs, at) == home


def in_sync(lab, *topics):
    """Whether all three brokers have all of these topics."""
    seen = Admin(Connection(lab.endpoint)).view(5).topics
    return all(len(partition.in_sync) == 3 for topic in topics for partition in seen[topic])


@pytest.mark.parametrize("servers", ["kafka.example:9092", "127.0.0.1:9"])
def test_a_cluster_that_is_not_the_lab_is_refused_with_the_other_ways(lab, marks, servers):
    with pytest.raises(ActivityFailed) as raised:
        kill_broker("id", broker_id=1, configuration={"kafka_bootstrap_servers": servers})
    text = str(raised.value)
    assert f"the experiment talks to {servers}, which is not the kafka lab at {lab.endpoint}" in text
    assert "your own command" in text
    assert "chaosk8s" in text
    assert running(lab) == {1, 2, 3}
    assert (marks, outstanding()) == ([], ([], []))


def test_without_a_lab_nothing_is_hit(lab, marks, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(ActivityFailed, match="there is no kafka lab on this machine"):
        kill_broker("id", broker_id=1, configuration=settings(lab))
    monkeypatch.undo()
    assert running(lab) == {1, 2, 3}


def test_no_fault_where_the_observer_is_dead(lab):
    def dead(name, label, at_ns):
        raise BrokenPipeError("the observer has ended")

    marking.set_marker(dead)
    with pytest.raises(ActivityFailed, match="the observer did not record the mark fault_begin"):
        kill_broker("id", broker_id=1, configuration=settings(lab))
    assert running(lab) == {1, 2, 3}
    assert outstanding() == ([], [])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            {"role": "boss"},
            "there is no role 'boss'. Try: choose one of leader, follower, followers, controller, random, id.",
        ),
        ({"role": "id", "broker_id": 9}, "the kafka lab has no node 9. Try: choose one of 1, 2, 3."),
        ({"role": "leader"}, "the leader of no topic cannot be found. Try: give 'topic', or run with the observe"),
        ({"role": "leader", "topic": "missing"}, "no partition missing/0: there is no such topic."),
    ],
)
def test_a_wish_that_cannot_be_met_hits_nothing(lab, marks, arguments, error):
    with pytest.raises(ActivityFailed) as raised:
        kill_broker(**arguments, configuration=settings(lab))
    assert error in str(raised.value)
    assert (marks, running(lab)) == ([], {1, 2, 3})


def test_the_role_to_start_is_checked_too():
    with pytest.raises(ActivityFailed, match="there is no role 'boss'"):
        start_broker("boss")
    with pytest.raises(ActivityFailed, match="the role 'id' needs 'broker_id'"):
        start_broker()


@pytest.mark.parametrize(
    ("configuration", "error"),
    [
        ({}, "has no kafka_bootstrap_servers"),
        ({"kafka_bootstrap_servers": ""}, "has no kafka_bootstrap_servers"),
        ({"kafka_bootstrap_servers": "x:1", "kafka_properties": "acks=1"}, "kafka_properties is not an object"),
        ({"kafka_bootstrap_servers": "x:1", "kafka_properties_file": "/missing"}, "cannot read the Kafka properties"),
    ],
)
def test_a_configuration_that_cannot_be_used(configuration, error):
    for activity in (kill_broker, wait_whole, cluster_whole):
        with pytest.raises(ActivityFailed, match=error):
            activity(configuration=configuration)


def test_secrets_and_properties_reach_the_client_and_are_not_shown(kafka_lab):
    configuration = {
        **settings(kafka_lab),
        "kafka_properties": {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"},
    }
    secrets = {"sasl.username": "drill", "sasl.password": "hunter2-secret"}
    with pytest.raises(ActivityFailed) as raised:
        wait_whole(1, configuration=configuration, secrets=secrets)
    assert "hunter2" not in str(raised.value)
    with pytest.raises(ActivityFailed, match=r"no\.such\.property"):
        wait_whole(1, configuration=settings(kafka_lab), secrets={"no.such.property": "hunter2-secret"})
