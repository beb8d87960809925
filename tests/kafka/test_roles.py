"""Which brokers a role means."""

import json
import os

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import identify
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.roles import Chosen, Wish, active_controller, choose, partition_of
from tests.kafka.brokers import last_controller, new_topic


def test_an_unknown_role_is_refused_with_those_there_are():
    with pytest.raises(UsageError) as raised:
        Wish("boss")
    assert raised.value.message == "there is no role 'boss'."
    assert raised.value.hint == "choose one of leader, follower, followers, controller, random, id."


@pytest.mark.parametrize("role", ["leader", "follower", "followers"])
def test_a_role_in_a_partition_needs_a_topic(role):
    with pytest.raises(UsageError, match=f"the {role} of no topic"):
        Wish(role)


def test_an_id_is_needed_where_it_is_asked_for():
    with pytest.raises(UsageError, match="the role 'id' needs 'broker_id'"):
        Wish("id")


@pytest.fixture
def quorum(tmp_path):
    """A cluster of three running processes whose quorum states are what the test says."""

    def of(*states, running=(True, True, True)):
        nodes = []
        for node_id, (state, runs) in enumerate(zip(states, running, strict=True), start=1):
            folder = tmp_path / str(node_id) / "__cluster_metadata-0"
            folder.mkdir(parents=True)
            if state is not None:
                (folder / "quorum-state").write_text(state if isinstance(state, str) else json.dumps(state))
            process = identify(os.getpid()) if runs else None
            nodes.append(Node(node_id, "", [], {}, "", "", str(folder.parent), process))
        return Cluster("kafka", "", nodes)

    return of


def state(leader, epoch):
    return {"clusterId": "", "leaderId": leader, "leaderEpoch": epoch, "votedId": -1, "data_version": 1}


def test_the_active_controller_is_the_leader_of_the_newest_epoch(quorum):
    assert active_controller(quorum(state(1, 4), state(3, 5), state(3, 5))) == 3


def test_what_a_dead_node_wrote_does_not_count(quorum):
    assert active_controller(quorum(state(2, 5), state(2, 5), state(3, 9), running=(True, True, False)), 0.1) == 2


def test_while_an_election_is_held_there_is_none(quorum):
    with pytest.raises(UnavailableError, match=r"no controller is active, 0\.1 s long\."):
        active_controller(quorum(state(1, 4), state(-1, 5), state(1, 4)), 0.1)


def test_a_leader_that_is_dead_is_none(quorum):
    with pytest.raises(UnavailableError, match="no controller is active"):
        active_controller(quorum(state(1, 4), state(1, 4), state(1, 4), running=(False, True, True)), 0.1)


def test_states_that_are_missing_or_half_written_are_passed_over(quorum):
    assert active_controller(quorum(None, '{"leaderId": 1, "lea', state(2, 3)), 0.1) == 2


@pytest.mark.lab
def test_the_active_controller_of_real_brokers(kafka_lab):
    assert active_controller(kafka_lab) == last_controller(kafka_lab)
    chosen = choose(Wish("controller"), kafka_lab, Connection(kafka_lab.endpoint))
    node = last_controller(kafka_lab)
    assert chosen == [Chosen(node, f"broker {node} (active controller)")]


@pytest.mark.lab
def test_leader_and_followers_of_a_partition(kafka_lab):
    topic, connection = new_topic(kafka_lab, partitions=2), Connection(kafka_lab.endpoint)
    partition = Admin(connection).view(5).topics[topic][1]
    leader = partition.leader
    assert choose(Wish("leader", topic, 1), kafka_lab, connection) == [
        Chosen(leader, f"broker {leader} (leader of {topic}/1)")
    ]
    followers = [
        Chosen(broker, f"broker {broker} (follower of {topic}/1)") for broker in partition.replicas if broker != leader
    ]
    assert choose(Wish("followers", topic, 1), kafka_lab, connection) == followers
    assert choose(Wish("follower", topic, 1), kafka_lab, connection) == followers[:1]
    for role in ("leader", "follower", "followers"):
        wish = Wish(role, topic, 1)
        assert choose(wish, None, connection) == choose(wish, kafka_lab, connection), "elsewhere it is the same"


@pytest.mark.lab
def test_a_partition_that_does_not_exist(kafka_lab):
    topic, connection = new_topic(kafka_lab), Connection(kafka_lab.endpoint)
    with pytest.raises(UnavailableError, match=f"no partition {topic}/1: it has partitions 0 to 0"):
        partition_of(connection, topic, 1)
    with pytest.raises(UnavailableError, match="no partition t-missing/0: there is no such topic"):
        partition_of(connection, "t-missing", 0)
    assert "t-missing" not in Admin(connection).view(5).topics


@pytest.mark.lab
def test_at_random_is_the_same_for_the_same_seed_and_any_broker_for_others(kafka_lab, caplog):
    caplog.set_level("INFO")
    connection = Connection(kafka_lab.endpoint)
    drawn = {seed: choose(Wish("random", seed=seed), kafka_lab, connection) for seed in range(1, 21)}
    again = {seed: choose(Wish("random", seed=seed), kafka_lab, connection) for seed in range(1, 21)}
    elsewhere = {seed: choose(Wish("random", seed=seed), None, connection) for seed in range(1, 21)}
    assert drawn == again == elsewhere
    assert {chosen.node_id for [chosen] in drawn.values()} == {1, 2, 3}
    [chosen] = drawn[7]
    assert chosen.label == f"broker {chosen.node_id} (at random, seed 7)"
    assert f"chose broker {chosen.node_id} of [1, 2, 3] at random (seed 7)" in caplog.text


@pytest.mark.lab
def test_by_id(kafka_lab):
    connection = Connection(kafka_lab.endpoint)
    for cluster in (kafka_lab, None):
        assert choose(Wish("id", broker_id=2), cluster, connection) == [Chosen(2, "broker 2")]
    with pytest.raises(UnavailableError, match="the kafka lab has no node 9"):
        choose(Wish("id", broker_id=9), kafka_lab, connection)
    with pytest.raises(UnavailableError, match="the cluster has no broker 9"):
        choose(Wish("id", broker_id=9), None, connection)
