"""The lag of a consumer group: planted records of known age, and what cannot be known."""

import time
import uuid

import pytest
from chaoslib.exceptions import ActivityFailed
from confluent_kafka.admin import AdminClient

from chaosdrills.kafka.client import Connection, Producer, TopicPartition, Trouble, new_consumer, new_producer
from chaosdrills.kafka.probes import consumer_lag
from tests.kafka.brokers import new_topic, settings

pytestmark = pytest.mark.lab


def write(lab, topic, partition, ages_s):
    """One record for each age, in this order."""
    producer: Producer = new_producer(Connection(lab.endpoint), Trouble(), {})
    now_ms = round(time.time() * 1000)
    for age_s in ages_s:
        producer.produce(topic, b"x", partition=partition, timestamp=now_ms - age_s * 1000)
    assert producer.flush(20) == 0


def commit(lab, topic, offsets):
    """Commit `offsets` by partition, in a new group; returns its name."""
    group = f"g-{uuid.uuid4().hex[:8]}"
    consumer = new_consumer(Connection(lab.endpoint), Trouble(), {"group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, *offset) for offset in offsets.items()], asynchronous=False)
    consumer.close()
    return group


def test_planted_records_are_counted_and_the_oldest_uncommitted_is_dated(kafka_lab):
    topic = new_topic(kafka_lab, partitions=4)
    write(kafka_lab, topic, 0, [500] * 10)
    write(kafka_lab, topic, 1, [900, 800, 700, 300, 200, 100, 100])
    write(kafka_lab, topic, 2, [50] * 9)
    group = commit(kafka_lab, topic, {0: 10, 1: 3, 2: 0})
    configuration = settings(kafka_lab, topic)
    found = consumer_lag(group, configuration=configuration)
    lag_s = found.pop("lag_s")
    assert found == {"lag_records": 13, "worst_partition": 1, "worst_records": 4, "partitions": 4}
    assert 300 <= lag_s < 400
    assert consumer_lag(topic=topic, configuration={**configuration, "kafka_group": group})["lag_records"] == 13

    caught_up = commit(kafka_lab, topic, {0: 10, 1: 7, 2: 9})
    none = {"lag_records": 0, "lag_s": 0.0, "worst_partition": 0, "worst_records": 0, "partitions": 4}
    assert consumer_lag(caught_up, topic, configuration=configuration) == none

    write(kafka_lab, topic, 3, [20])
    with pytest.raises(ActivityFailed, match=rf"{group} has committed nothing for {topic}/3, which holds 1 records"):
        consumer_lag(group, topic, configuration=configuration)


def test_a_group_or_topic_that_nobody_knows_is_an_error_and_no_lag(kafka_lab):
    topic = new_topic(kafka_lab)
    configuration = settings(kafka_lab)
    with pytest.raises(ActivityFailed, match=f"the group nobody has committed nothing for the topic {topic}"):
        consumer_lag("nobody", topic, configuration=configuration)
    with pytest.raises(ActivityFailed, match="the cluster has no topic missing"):
        consumer_lag("nobody", "missing", configuration=configuration)
    other = commit(kafka_lab, new_topic(kafka_lab), {0: 0})
    with pytest.raises(ActivityFailed, match=f"the group {other} has committed nothing for the topic {topic}"):
        consumer_lag(other, topic, configuration=configuration)
    with pytest.raises(ActivityFailed, match="the lag of no group"):
        consumer_lag(topic=topic, configuration=configuration)
    with pytest.raises(ActivityFailed, match="no Kafka broker answers"):
        consumer_lag("g", "t", timeout_s=1, configuration={"kafka_bootstrap_servers": "127.0.0.1:1"})


def test_what_retention_removed_unread_counts_and_the_age_is_of_what_is_left(kafka_lab):
    topic = new_topic(kafka_lab)
    write(kafka_lab, topic, 0, [900] * 5 + [100] * 3)
    group = commit(kafka_lab, topic, {0: 2})
    client = AdminClient({"bootstrap.servers": kafka_lab.endpoint})
    for future in client.delete_records([TopicPartition(topic, 0, 5)]).values():
        future.result(timeout=20)
    found = consumer_lag(group, topic, configuration=settings(kafka_lab))
    assert (found["lag_records"], found["worst_records"]) == (6, 6)
    assert 100 <= found["lag_s"] < 200


def test_where_only_a_transaction_marker_follows_nothing_waits_to_be_read(kafka_lab):
    topic = new_topic(kafka_lab)
    producer = Producer({"bootstrap.servers": kafka_lab.endpoint, "transactional.id": topic})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, b"x", timestamp=round(time.time() * 1000) - 500_000)
    producer.commit_transaction(60)
    configuration = settings(kafka_lab)
    assert consumer_lag(commit(kafka_lab, topic, {0: 0}), topic, configuration=configuration)["lag_s"] >= 500
    found = consumer_lag(commit(kafka_lab, topic, {0: 1}), topic, configuration=configuration)
    assert (found["lag_records"], found["lag_s"]) == (1, 0.0)
