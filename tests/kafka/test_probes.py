"""Probes of real brokers."""

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.probes import cluster_whole, partition_leader
from tests.kafka.brokers import make_whole, new_topic, settings

pytestmark = pytest.mark.lab


def test_a_whole_cluster(kafka_lab):
    make_whole(kafka_lab)
    assert cluster_whole(configuration=settings(kafka_lab)) == {
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


def test_what_cannot_be_known_fails(kafka_lab):
    with pytest.raises(ActivityFailed, match="there is no such topic"):
        partition_leader("missing", configuration=settings(kafka_lab))
    with pytest.raises(ActivityFailed, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        cluster_whole(configuration={"kafka_bootstrap_servers": "127.0.0.1:1"})
