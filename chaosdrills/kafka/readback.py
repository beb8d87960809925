"""The read-back: what is really in the topic after the drill, read through fresh connections from the first offset on.

Each partition is read from the start of its log to a barrier (`chaosdrills.kafka.barrier`) that was put behind all
that the drill wrote: before it everything that is there can be seen. A log whose start has moved past what the drill
wrote cannot tell loss from removal, and is an error.
"""

import time
from array import array
from collections.abc import Iterator, Mapping

from chaosdrills.core.history import NO_SEQ
from chaosdrills.errors import UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.barrier import KEY, Barrier
from chaosdrills.kafka.client import (
    Admin,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
    Trouble,
    new_consumer,
)
from chaosdrills.kafka.offsets import log_of
from chaosdrills.kafka.payload import Alien, Opener
from chaosdrills.kafka.topics import await_leaders
from chaosdrills.observe.workload import Progress, Survivors

BATCH = 10_000
POLL_S = 0.5
SETTINGS = {
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",
    "fetch.wait.max.ms": 50,
    "fetch.error.backoff.ms": 100,
    "fetch.queue.backoff.ms": 10,  # with its own 1,000, a full queue costs a second: 36,000 messages/s
    "queued.min.messages": 20_000,
    "queued.max.messages.kbytes": 16_384,
}


class ReadBack:
    """Reads all partitions of a drill's topic. `firsts` are the offsets at which the drill began to write.

    `foreign` counts messages that are not of this drill, `damaged` those that are and are not as they were written.
    """

    def __init__(self, arguments: Arguments, drill_id: str, firsts: Mapping[int, int]) -> None:
        self.foreign = 0
        self.damaged = 0
        self._arguments = arguments
        self._drill_id = drill_id
        self._firsts = firsts
        self._trouble = Trouble()

    def run(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        """The survivors of each partition in turn. Raises `DrillError` if a partition's end is not reached in time."""
        deadline = time.monotonic() + timeout_s
        progress("reading back: waiting for a leader of every partition")
        await_leaders(Admin(self._arguments.connection), self._arguments.topic, deadline)
        progress("reading back: putting a barrier behind the last message of every partition")
        begun_ns = boottime_ns()
        ends = Barrier(self._arguments).raise_in(self._firsts, deadline)
        consumer = new_consumer(self._arguments.connection, self._trouble, SETTINGS)
        try:
            starts = {partition: self._start_of(consumer, partition, deadline) for partition in sorted(ends)}
            for partition, start in starts.items():
                reading = _Reading(consumer, TopicPartition(self._arguments.topic, partition, start))
                yield Survivors(
                    partition, begun_ns, self._read(reading, partition, ends[partition], deadline, progress)
                )
        finally:
            consumer.close()

    def _read(self, reading: "_Reading", partition: int, end: int, deadline: float, progress: Progress) -> "array[int]":
        """All of a partition before the offset `end`."""
        seqs, opener = array("q"), Opener(self._drill_id, partition)
        while reading.position < end:
            self._require_time(deadline, f"partition {partition} was read to offset {reading.position:,} of {end:,}")
            progress(f"reading back: partition {partition}, offset {reading.position:,} of {end:,}")
            self._open_all(reading.next_batch(end), opener, seqs)
        self._start_of(reading.consumer, partition, deadline)
        return seqs

    def _open_all(self, messages: list[Message], opener: Opener, seqs: "array[int]") -> None:
        for message in messages:
            seq = opener.open(message.value())
            if seq is Alien.FOREIGN:
                self.foreign += message.key() != KEY
            elif seq is Alien.DAMAGED:
                self.damaged += 1
                seqs.append(NO_SEQ)
            else:
                seqs.append(seq)

    def _start_of(self, consumer: Consumer, partition: int, deadline: float) -> int:
        """Where the log of a partition starts now; it must be where the drill began, or before."""
        start, _ = log_of(consumer, self._arguments.topic, partition, deadline)
        self._require_whole(partition, start)
        return start

    def _require_whole(self, partition: int, start: int) -> None:
        first = self._firsts[partition]
        if start > first:
            raise UnavailableError(
                f"the log of partition {partition} of {self._arguments.topic} starts at offset {start}, the drill's "
                f"first message was at {first}: something removed messages, so loss cannot be told from removal.",
                "keep retention and DeleteRecords away from the topic while a drill runs.",
            )

    def _require_time(self, deadline: float, state: str) -> None:
        if time.monotonic() >= deadline:
            last = f" The last trouble: {self._trouble.last}." if self._trouble.last else ""
            raise UnavailableError(
                f"the read-back was not done in time: {state}.{last}", "give it more time, or look at the brokers."
            )


class _Reading:
    """One partition while it is read: `position` is the offset that comes next."""

    def __init__(self, consumer: Consumer, where: TopicPartition) -> None:
        self.consumer = consumer
        self.position = where.offset
        self._partition = where.partition
        consumer.assign([where])

    def next_batch(self, end: int) -> list[Message]:
        """The next messages before the offset `end`, in the order of their offsets; none if there is nothing yet.

        What still comes of the partition before says nothing of this one: its end would cut this one short.
        Raises `UnavailableError` where the log cannot be read on.
        """
        messages = []
        for message in self.consumer.consume(min(BATCH, end - self.position), POLL_S):
            if message.partition() != self._partition:
                continue
            error = message.error()
            if error is None:
                messages.append(message)
                self.position = (message.offset() or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.position = max(self.position, message.offset() or 0)
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise UnavailableError(
                    f"the log of partition {message.partition()} changed while it was read: {error.str()}.",
                    "read back only after the cluster is whole again.",
                )
        return messages
