"""Faults on real brokers beyond the kill: stopped, paused, and hit by commands of one's own, as on any cluster."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import lock
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.processes import wait_until
from chaosdrills.kafka.actions import heal_brokers, kill_broker, pause_broker, start_broker, stop_broker, wait_whole
from chaosdrills.kafka.client import Admin, Connection
from tests.faults.commands import argvs
from tests.kafka.brokers import elsewhere, leader_of, listening, make_whole, new_topic, run_heal, running, settings

pytestmark = pytest.mark.lab

NOTHING = {"healed": 0, "nothing_to_do": 0}


@pytest.fixture
def lab(kafka_lab):
    yield kafka_lab
    make_whole(kafka_lab)


def test_a_leader_is_stopped_in_good_order_hands_over_and_is_started_again(lab, marks):
    topic = new_topic(lab)
    leader = leader_of(lab, topic)
    log = Path(lab.nodes[leader - 1].log)
    before = log.read_text(errors="replace").count("shut down completed")
    stopped = stop_broker(configuration=settings(lab, topic))
    what = f"stop of broker {leader} (leader of {topic}/0)"
    assert stopped == {"stopped": 1, "brokers": str(leader), "what": what}
    assert running(lab) == listening(lab) == {1, 2, 3} - {leader}
    assert log.read_text(errors="replace").count("shut down completed") > before, "it did not end in good order"
    assert wait_until(lambda: leader_of(lab, topic) not in (leader, None), 5), "it did not hand over"
    assert heal_brokers(configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert listening(lab) == {1, 2, 3}
    assert marks == [(name, what) for name in ("fault_begin", "fault_end")] + [
        (name, f"heal of {what}") for name in ("heal_begin", "heal_end")
    ]


def test_the_first_follower_is_paused_answers_nothing_and_goes_on(lab, marks):
    topic = new_topic(lab)
    partition = Admin(Connection(lab.endpoint)).view(5).topics[topic][0]
    follower = next(broker for broker in partition.replicas if broker != partition.leader)
    node = lab.nodes[follower - 1]
    paused = pause_broker("follower", topic, configuration=settings(lab))
    what = f"pause of broker {follower} (follower of {topic}/0)"
    assert paused == {"paused": 1, "brokers": str(follower), "what": what}
    with pytest.raises(UnavailableError):
        Admin(Connection(node.endpoint)).view(1)
    assert follower in listening(lab), "the kernel accepts connections for it"
    with pytest.raises(ActivityFailed, match=f"broker {follower} .*is paused already: nothing was hit"):
        pause_broker("id", broker_id=follower, configuration=settings(lab))
    assert start_broker("leader", configuration=settings(lab)) == NOTHING
    assert start_broker("follower", configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert Admin(Connection(node.endpoint)).view(20).brokers.keys() == {1, 2, 3}
    assert running(lab) == {1, 2, 3}
    assert [name for name, _ in marks] == ["fault_begin", "fault_end", "heal_begin", "heal_end"]


def test_commands_hit_a_cluster_that_is_not_the_lab_within_bounds_and_heal_it(lab, marks, tmp_path):
    topic, there = new_topic(lab), elsewhere(lab)
    wait_whole(90, configuration=settings(lab))
    by = {"target": "command", **argvs("kafka", "kill")}
    with pytest.raises(ActivityFailed) as raised:
        kill_broker("followers", topic, **by, configuration=there)
    followers = ", ".join(str(each) for each in order_of_followers(lab, topic))
    assert f"'followers' of {topic}/0 means 2 brokers ({followers}), and max_targets is 1" in str(raised.value)
    with pytest.raises(ActivityFailed, match="the cluster has no broker 9"):
        kill_broker("id", broker_id=9, **by, configuration=there)
    assert (running(lab), marks, outstanding(), lock.held_by()) == ({1, 2, 3}, [], ([], []), "")

    leader = leader_of(lab, topic)
    killed = kill_broker("leader", topic, **by, configuration=there)
    what = f"kill by command of broker {leader} (leader of {topic}/0)"
    assert killed == {"killed": 1, "brokers": str(leader), "what": what, "output": f"kill of node {leader} done"}
    assert listening(lab) == {1, 2, 3} - {leader}
    with pytest.raises(ActivityFailed, match=r"the cluster is degraded already \(.*\): nothing was injected\. Try: "):
        pause_broker("id", broker_id=leader % 3 + 1, target="command", **argvs("kafka", "pause"), configuration=there)
    assert lock.held_by(), "the first fault is still outstanding"
    again = pause_broker(
        "follower", topic, target="command", **argvs("kafka", "pause"), degraded_ok="true", configuration=there
    )
    assert again["paused"] == 1
    assert heal_brokers(configuration=there) == {"healed": 2, "nothing_to_do": 0}
    assert listening(lab) == {1, 2, 3}
    assert lock.held_by() == ""
    names = ["fault_begin", "fault_end", "fault_begin", "fault_end", "heal_begin", "heal_end"]
    assert [name for name, _ in marks] == names
    wait_whole(90, configuration=there)


def order_of_followers(lab, topic):
    partition = Admin(Connection(lab.endpoint)).view(5).topics[topic][0]
    return [broker for broker in partition.replicas if broker != partition.leader]


INJECTOR = """
import json, sys
from chaosdrills.kafka.actions import kill_broker
print(kill_broker(**json.loads(sys.argv[1]))["what"], flush=True)
sys.stdin.read()
"""


def test_what_a_killed_drill_did_by_command_is_healed_by_the_command_line_and_by_no_later_drill(lab, tmp_path):
    arguments = {"role": "id", "broker_id": 3, "target": "command", **argvs("kafka", "kill")}
    given = json.dumps({**arguments, "configuration": settings(lab)})
    make_whole(lab)
    with subprocess.Popen(
        [sys.executable, "-c", INJECTOR, given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as drill:
        assert drill.stdout.readline() == "kill by command of broker 3\n"
        drill.kill()
    assert heal_brokers(configuration=settings(lab)) == NOTHING
    assert listening(lab) == {1, 2}
    with pytest.raises(ActivityFailed, match=r"an earlier drill left kafka broken \(kill by command of broker 3\)"):
        kill_broker("id", broker_id=1, configuration=settings(lab))
    healed = run_heal(tmp_path, "--service", "kafka")
    assert (healed.returncode, healed.stdout) == (0, "healed: kill by command of broker 3\n")
    assert listening(lab) == {1, 2, 3}
