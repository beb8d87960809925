"""How the read-back takes what a consumer gives: brokers cannot be made to send this, so the consumer is made up."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.kafka.client import KafkaError, TopicPartition
from chaosdrills.kafka.readback import _Reading


@dataclass
class Event:
    """A message, or an error, of a partition."""

    of: int
    at: int
    code: int | None = None

    def partition(self) -> int:
        return self.of

    def offset(self) -> int:
        return self.at

    def error(self) -> KafkaError | None:
        return None if self.code is None else KafkaError(self.code)


@dataclass
class MadeUp:
    """A consumer that gives `batches`, one a call."""

    batches: list[list[Event]]
    assigned: list[TopicPartition] = field(default_factory=list)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def consume(self, most: int, timeout_s: float) -> list[Event]:
        return self.batches.pop(0)


def reading(*batches: list[Event]) -> Any:
    """Partition 1 from offset 10 on."""
    return _Reading(MadeUp(list(batches)), TopicPartition("t", 1, 10))  # type: ignore[arg-type]


END = KafkaError._PARTITION_EOF


def test_messages_and_the_end_move_the_position() -> None:
    it = reading([Event(1, 10), Event(1, 11)], [], [Event(1, 15, END)])
    assert [message.offset() for message in it.next_batch(15)] == [10, 11]
    assert (it.position, it.next_batch(15), it.position) == (12, [], 12)
    assert (it.next_batch(15), it.position) == ([], 15)


@pytest.mark.parametrize("other", [Event(0, 900, END), Event(0, 900), Event(0, 3, KafkaError._AUTO_OFFSET_RESET)])
def test_what_comes_of_another_partition_is_not_of_this_one(other: Event) -> None:
    it = reading([other, Event(1, 10), other], [other])
    assert [message.of for message in it.next_batch(1000)] == [1]
    assert it.position == 11
    assert (it.next_batch(1000), it.position) == ([], 11)


def test_a_log_that_moved_is_an_error() -> None:
    with pytest.raises(UnavailableError, match="the log of partition 1 changed while it was read"):
        reading([Event(1, 3, KafkaError._AUTO_OFFSET_RESET)]).next_batch(20)
