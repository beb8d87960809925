"""How far a consumer group is behind: in records, and in seconds.

A partition's lag is what lies between the offset that the group has committed and the end of the log, as Kafka's own
tools count it: transaction markers count, and so does what retention has removed unread. Its age is the time since the
timestamp of the oldest record that is not committed and still there, on this machine's clock. With the timestamps that
producers set (``message.timestamp.type=CreateTime``, the default) clocks that differ add to it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from chaosdrills.errors import UnavailableError
from chaosdrills.kafka.client import (
    TIMESTAMP_NOT_AVAILABLE,
    Connection,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
    Trouble,
    new_consumer,
)
from chaosdrills.kafka.groups import GroupAdmin
from chaosdrills.kafka.offsets import log_of
from chaosdrills.kafka.partitions import partitions_of

POLL_S = 0.1
SETTINGS = {
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",
    "fetch.wait.max.ms": 50,
    "queued.min.messages": 1,
}


@dataclass(frozen=True)
class Lag:
    """How far a group is behind in one partition: `records`, the oldest of them `age_s` old (0 without one)."""

    records: int
    age_s: float


def lag_of(connection: Connection, group: str, topic: str, timeout_s: float) -> dict[int, Lag]:
    """The lag of `group` in every partition of `topic`.

    Raises `UnavailableError` if there is no such topic, if the group has committed nothing for it (or for a partition
    that holds records), or if a partition does not answer in time; other `DrillError` if we are refused.
    """
    deadline = time.monotonic() + timeout_s
    admin = GroupAdmin(connection)
    partitions = [it.partition.id for it in partitions_of(admin.view(timeout_s), topic)]
    committed = admin.committed(group, topic, partitions, timeout_s)
    if not committed:
        raise UnavailableError(
            f"the group {group} has committed nothing for the topic {topic}, so its lag is not known.",
            "correct the names; a group that does not exist looks the same.",
        )
    consumer = new_consumer(connection, Trouble(), SETTINGS)
    try:
        logs = {partition: log_of(consumer, topic, partition, deadline) for partition in partitions}
        positions = {partition: _position(group, topic, partition, logs, committed) for partition in partitions}
        unread = {it: max(at, logs[it][0]) for it, at in positions.items() if max(at, logs[it][0]) < logs[it][1]}
        oldest_s = _oldest_s(consumer, topic, unread, deadline)
    finally:
        consumer.close()
    now_s = time.time()
    return {
        it: Lag(max(0, logs[it][1] - positions[it]), max(0.0, now_s - oldest_s.get(it, now_s))) for it in partitions
    }


def _position(
    group: str, topic: str, partition: int, logs: Mapping[int, tuple[int, int]], committed: Mapping[int, int]
) -> int:
    """What the group has committed; where it never did, the start of a log that is empty."""
    start, end = logs[partition]
    if partition not in committed and end > start:
        raise UnavailableError(
            f"the group {group} has committed nothing for {topic}/{partition}, which holds {end - start} records, so "
            "its lag is not known.",
            "wait until it has committed in every partition.",
        )
    return committed.get(partition, start)


def _oldest_s(consumer: Consumer, topic: str, unread: Mapping[int, int], deadline: float) -> dict[int, float]:
    """The timestamp of the first record from each offset on; none where only transaction markers follow."""
    waiting, found = set(unread), {}
    consumer.assign([TopicPartition(topic, *position) for position in unread.items()])
    trouble = ""
    while waiting:
        if time.monotonic() >= deadline:
            names = ", ".join(f"{topic}/{partition}" for partition in sorted(waiting))
            raise UnavailableError(
                f"the oldest unread record of {names} cannot be read in time{trouble}.", "look at the brokers' logs."
            )
        for message in consumer.consume(max(10, len(waiting)), POLL_S):
            partition, error = message.partition(), message.error()
            if partition not in waiting:
                continue
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                trouble = f": {error.str()}"
                continue
            if error is None:
                found[partition] = _timestamp_s(message)
            waiting.discard(partition)
            consumer.pause([TopicPartition(topic, partition)])
    return found


def _timestamp_s(message: Message) -> float:
    kind, at_ms = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        raise UnavailableError(
            f"the record at {message.topic()}/{message.partition()}, offset {message.offset()}, has no timestamp, so "
            "the lag in seconds is not known.",
            "look at the topic's message format.",
        )
    return at_ms / 1000
