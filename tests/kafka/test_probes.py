"""Probes of real brokers: all well, and with one of them dead."""

import re

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.host.nodes import load
from chaosdrills.host.processes import wait_until
from chaosdrills.kafka import actions, probes, roles
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.probes import cluster_whole, partition_leader
from tests.kafka.brokers import last_controller, make_whole, new_topic, settings

pytestmark = pytest.mark.lab

NOWHERE = {"kafka_bootstrap_servers": "127.0.0.1:1"}
OF_A_CLUSTER = ("brokers", "cluster_health", "under_replicated", "under_min_isr", "offline_partitions")
OF_A_TOPIC = ("partition_leaders", "in_sync_replicas", "under_replicated", "under_min_isr", "offline_partitions")


@pytest.fixture
def lab(kafka_lab):
    make_whole(kafka_lab)
    yield kafka_lab
    make_whole(kafka_lab)


def test_a_whole_cluster(lab):
    assert cluster_whole(configuration=settings(lab)) == {
        "whole": True,
        "brokers": 3,
        "under_replicated": 0,
        "offline": 0,
        "not_preferred": 0,
        "lacks": "",
    }


def test_the_leader_of_the_drills_topic(kafka_lab):
    topic = new_topic(kafka_lab)
    partition = Admin(Connection(kafka_lab.endpoint)).view(5).topics[topic][0]
    answer = {"leader": partition.leader, "preferred": partition.replicas[0], "in_sync": 3, "replicas": 3}
    assert partition_leader(configuration=settings(kafka_lab, topic)) == answer
    assert partition_leader(topic, configuration=settings(kafka_lab)) == answer


def test_what_all_is_well_looks_like(lab):
    topic = new_topic(lab, partitions=3)
    ours = {"configuration": settings(lab, topic)}
    view = Admin(Connection(lab.endpoint)).view(5)
    everything = sum(len(partitions) for partitions in view.topics.values())
    leaders = {it.id: it.leader for it in view.topics[topic]}

    assert probes.brokers(**ours) == {"brokers": 3, "ids": "1, 2, 3"}
    assert probes.active_controller(**ours) == {"controller": last_controller(lab)}
    assert probes.partition_leaders(**ours) == {
        "partitions": 3,
        "offline": 0,
        "not_preferred": 0,
        "leaders": 3,
        "leader_of_0": leaders[0],
        "leader_of_1": leaders[1],
        "leader_of_2": leaders[2],
    }
    assert probes.in_sync_replicas(partition=1, **ours) == {
        "in_sync": 3,
        "replicas": 3,
        "min_in_sync": 1,
        "spare": 2,
        "ids": "1, 2, 3",
        "missing_ids": "",
    }
    assert probes.under_replicated(**ours) == {"under_replicated": 0, "partitions": everything, "which": ""}
    assert probes.under_min_isr(topic, **ours) == {"under_min_isr": 0, "partitions": 3, "which": ""}
    assert probes.offline_partitions(topic, **ours) == {"offline": 0, "partitions": 3, "which": ""}
    healthy = {
        "healthy": True,
        "brokers": 3,
        "missing": 0,
        "silent": 0,
        "controller": last_controller(lab),
        "partitions": everything,
        "under_replicated": 0,
        "under_min_isr": 0,
        "offline": 0,
        "not_preferred": 0,
        "lacks": "",
    }
    assert probes.cluster_health(**ours) == healthy
    without = {name: value for name, value in healthy.items() if name != "controller"}
    assert probes.cluster_health(controller=False, **ours) == without
    assert actions.elect_preferred_leaders(**ours)["moved"] == 0


def test_a_dead_active_controller_is_seen_by_every_probe_and_its_leaders_come_home(lab):
    """The victim leads one partition of each topic, and is all that holds one of the unreplicated topic's."""
    topic = new_topic(lab, partitions=3, **{"min.insync.replicas": "3"})
    single = f"{topic}-single"
    Admin(Connection(lab.endpoint)).create_topic(single, 3, 1, {}, 20)
    ours = {"configuration": settings(lab, topic)}
    leaders = {number: probes.partition_leaders(**ours)[f"leader_of_{number}"] for number in range(3)}
    victim = last_controller(lab)
    (its,) = [number for number, leader in leaders.items() if leader == victim]
    rest = sorted({1, 2, 3} - {victim})
    try:
        actions.kill_broker("controller", **ours)
        at_once = probes.cluster_health(**ours)
        assert not at_once["healthy"], at_once
        assert wait_until(lambda: probes.brokers(**ours)["brokers"] == 2, 60, 0.2), "it stays registered"

        assert probes.brokers(**ours)["ids"] == ", ".join(map(str, rest))
        after = probes.active_controller(timeout_s=30, **ours)["controller"]
        assert after == roles.active_controller(load("kafka")) != victim
        all_of_it = f"{topic}/0, {topic}/1, {topic}/2"
        assert probes.under_replicated(topic, **ours) == {"under_replicated": 3, "partitions": 3, "which": all_of_it}
        assert probes.under_min_isr(topic, **ours) == {"under_min_isr": 3, "partitions": 3, "which": all_of_it}
        offline = probes.offline_partitions(single, **ours)
        assert (offline["offline"], offline["partitions"]) == (1, 3)
        assert re.fullmatch(rf"{single}/[012]", offline["which"])
        assert probes.in_sync_replicas(partition=its, **ours) == {
            "in_sync": 2,
            "replicas": 3,
            "min_in_sync": 3,
            "spare": -1,
            "ids": ", ".join(map(str, rest)),
            "missing_ids": str(victim),
        }
        seen = probes.partition_leaders(**ours)
        assert (seen["offline"], seen["not_preferred"]) == (0, 1)
        assert seen[f"leader_of_{its}"] in rest
        health = probes.cluster_health(**ours)
        assert (health["healthy"], health["brokers"], health["missing"], health["controller"]) == (False, 2, 1, after)
        assert health["under_replicated"] >= 4
        assert health["under_min_isr"] >= 3
        assert health["offline"] >= 1
        for words in (f"missing broker {victim}", "without a leader", "below min.insync.replicas"):
            assert words in health["lacks"]
        with pytest.raises(ActivityFailed, match=rf"1 partitions are not led by .* after 0\.5 s: {topic}/{its}\."):
            actions.elect_preferred_leaders(timeout_s=0.5, **ours)
        actions.kill_broker("id", broker_id=after, **ours)
        with pytest.raises(ActivityFailed, match="the cluster has no active controller that answers within 2 s"):
            probes.active_controller(2, **ours)
        alone = probes.cluster_health(timeout_s=3, **ours)
        assert (alone["healthy"], alone["controller"]) == (False, -1)
        assert "no active controller" in alone["lacks"]
    finally:
        actions.heal_brokers(**ours)
    assert wait_until(lambda: probes.under_replicated(**ours)["under_replicated"] == 0, 90, 0.2), "not in sync again"
    elected = actions.elect_preferred_leaders(**ours)
    assert elected["partitions"] == 3
    assert probes.partition_leaders(**ours)[f"leader_of_{its}"] == victim
    assert probes.offline_partitions(single, **ours)["offline"] == 0


@pytest.mark.parametrize("name", [*OF_A_CLUSTER, "active_controller"])
def test_a_wrong_address_fails(name):
    with pytest.raises(ActivityFailed, match=r"no Kafka broker answers at 127\.0\.0\.1:1 within 1 s"):
        getattr(probes, name)(timeout_s=1, configuration=NOWHERE)


@pytest.mark.parametrize("name", OF_A_TOPIC)
def test_an_unknown_topic_fails(kafka_lab, name):
    with pytest.raises(ActivityFailed, match="the cluster has no topic missing"):
        getattr(probes, name)("missing", configuration=settings(kafka_lab))


@pytest.mark.parametrize("name", ["partition_leaders", "in_sync_replicas"])
def test_without_a_topic_or_a_drill_there_is_nothing_to_look_at(name):
    with pytest.raises(ActivityFailed, match="there is no topic to look at"):
        getattr(probes, name)(configuration=NOWHERE)


def test_what_cannot_be_known_fails(kafka_lab):
    with pytest.raises(ActivityFailed, match="there is no such topic"):
        partition_leader("missing", configuration=settings(kafka_lab))
    with pytest.raises(ActivityFailed, match="has no partition"):
        probes.in_sync_replicas(new_topic(kafka_lab), 7, configuration=settings(kafka_lab))
    with pytest.raises(ActivityFailed, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        cluster_whole(configuration=NOWHERE)
    with pytest.raises(ActivityFailed, match="there is no topic whose leaders to elect"):
        actions.elect_preferred_leaders(configuration=settings(kafka_lab))
    with pytest.raises(ActivityFailed, match="the cluster has no topic missing"):
        actions.elect_preferred_leaders("missing", configuration=settings(kafka_lab))
