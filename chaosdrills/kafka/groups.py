"""Consumer groups as their coordinator knows them: members, what they own, and what they have committed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaosdrills.kafka.client import (
    Admin,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
    code_of,
)

_UNKNOWN_GROUP = (KafkaError.GROUP_ID_NOT_FOUND, KafkaError.INVALID_GROUP_ID)


@dataclass(frozen=True)
class GroupMember:
    """A member of a group by its `client_id`, and the (topic, partition) pairs that it owns now."""

    client_id: str
    owns: frozenset[tuple[str, int]]


class GroupAdmin(Admin):
    """`Admin` that also knows consumer groups, of the classic protocol and of KIP-848's."""

    def members(self, group: str, timeout_s: float) -> list[GroupMember]:
        """The members of `group` as its coordinator lists them, dead ones too until their session has timed out.

        Empty for a group that nobody knows.
        """
        with self._explained(f"the group {group} cannot be looked at", timeout_s):
            try:
                futures = self._client.describe_consumer_groups([group], request_timeout=timeout_s)
                found = futures[group].result(timeout=timeout_s + 1)
            except KafkaException as error:
                if code_of(error) in _UNKNOWN_GROUP:
                    return []
                raise
        return [
            GroupMember(it.client_id, frozenset((at.topic, at.partition) for at in it.assignment.topic_partitions))
            for it in found.members
        ]

    def committed(self, group: str, topic: str, partitions: Iterable[int], timeout_s: float) -> dict[int, int]:
        """The offsets that `group` has committed, by partition; without those that it has committed nothing for."""
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition) for partition in partitions])
        with self._explained(f"the offsets of the group {group} cannot be read", timeout_s):
            try:
                futures = self._client.list_consumer_group_offsets([wanted], request_timeout=timeout_s)
                found = futures[group].result(timeout=timeout_s + 1)
            except KafkaException as error:
                if code_of(error) in _UNKNOWN_GROUP:
                    return {}
                raise
            _raise_first(found)
        return {it.partition: it.offset for it in found.topic_partitions or () if it.offset >= 0}

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], timeout_s: float) -> None:
        """Commit `offsets`, by partition, for a group that has no members; it is made if it is not there."""
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, *offset) for offset in offsets.items()])
        with self._explained(f"offsets of the group {group} cannot be committed", timeout_s):
            futures = self._client.alter_consumer_group_offsets([wanted], request_timeout=timeout_s)
            _raise_first(futures[group].result(timeout=timeout_s + 1))

    def delete_group(self, group: str, timeout_s: float) -> None:
        """Remove a group that has no members, and what it has committed."""
        with self._explained(f"the group {group} cannot be removed", timeout_s):
            futures = self._client.delete_consumer_groups([group], request_timeout=timeout_s)
            futures[group].result(timeout=timeout_s + 1)


def _raise_first(answer: ConsumerGroupTopicPartitions) -> None:
    """Raise the first error of a partition as the exception that carries it."""
    for it in answer.topic_partitions or ():
        if it.error is not None:
            raise KafkaException(it.error)
