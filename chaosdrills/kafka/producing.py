"""Sending: one producer, and for each partition what is in flight.

A message's callback is the partition's own bound method; the seq comes from the payload, the intended time from a
dictionary. Messages of one partition that are due together are queued by one call.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chaosdrills.core.history import NO_TIME, Outcome
from chaosdrills.errors import UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import KafkaError, KafkaException, Message, Producer, Trouble, new_producer
from chaosdrills.kafka.outcomes import outcome_of
from chaosdrills.kafka.payload import Sealer, seq_of
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

QUEUE_MESSAGES = 1_000_000  # the observer's own bound of what is in flight is below
PURGE_S = 2.0
MOST_REMAKES = 5
_OK, _FAILED, _UNKNOWN = (int(outcome) for outcome in Outcome)


class PartitionWriter:
    """One partition: its seqs, and the intended times of what is in flight, oldest first."""

    def __init__(self, partition: int, sealer: Sealer, page: Page) -> None:
        self.in_flight: dict[int, int] = {}
        self._partition = partition
        self._sealer = sealer
        self._page = page
        self._next = 0

    def send(self, producer: Producer, topic: str, intended_ns: Sequence[int]) -> None:
        """Queue one message for each intended time; note as failed what the queue does not take."""
        seal, first = self._sealer.seal, self._next
        self._next = end = first + len(intended_ns)
        self.in_flight.update(zip(range(first, end), intended_ns, strict=True))
        messages: list[dict[str, Any]] = [{"value": seal(seq)} for seq in range(first, end)]
        try:
            queued = producer.produce_batch(topic, messages, self._partition, self.delivered)
        except (BufferError, KafkaException):
            queued = 0
            logger.exception("a batch was not queued")
        if queued < len(messages):
            for seq, message in enumerate(messages, first):
                if "_error" in message or not queued:
                    self._settle(seq, boottime_ns(), _FAILED)

    def refuse(self, intended_ns: Sequence[int]) -> None:
        """Note one operation for each intended time as failed."""
        now_ns = boottime_ns()
        for at_ns in intended_ns:
            self._page.write(self._partition, self._next, at_ns, now_ns, _FAILED)
            self._next += 1

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """The delivery report of a message: its outcome is final."""
        seq = seq_of(message.value())  # type: ignore[arg-type]
        intended_ns = self.in_flight.pop(seq)
        self._page.write(
            self._partition, seq, intended_ns, boottime_ns(), _OK if error is None else int(outcome_of(error))
        )

    def give_up(self) -> None:
        """Note all that is still in flight as never heard of again."""
        for seq in list(self.in_flight):
            self._settle(seq, NO_TIME, _UNKNOWN)

    def _settle(self, seq: int, completed_ns: int, outcome: int) -> None:
        self._page.write(self._partition, seq, self.in_flight.pop(seq), completed_ns, outcome)


class Sending:
    """The producer of a drill, re-made after a fatal error, and its partitions in turn."""

    def __init__(self, arguments: Arguments, drill_id: str) -> None:
        self.trouble = Trouble()
        self.remakes: list[str] = []
        self._arguments = arguments
        self._drill_id = drill_id
        self._producer = self._new_producer()
        self._dead: list[Producer] = []
        self._writers: list[PartitionWriter] = []
        self._turn = 0

    def prime(self, timeout_s: float) -> None:
        """Have the producer know the topic's partitions before the first message."""
        self._producer.list_topics(self._arguments.topic, timeout=timeout_s)

    def begin(self, page: Page) -> None:
        """Note from now on in `page`."""
        size = self._arguments.payload_bytes
        self._writers = [
            PartitionWriter(partition, Sealer(self._drill_id, partition, size), page)
            for partition in range(self._arguments.partitions)
        ]

    @property
    def in_flight(self) -> int:
        """How many messages have no delivery report yet."""
        return sum([len(writer.in_flight) for writer in self._writers])

    def oldest_in_flight_ns(self) -> int | None:
        """The intended time of the oldest of them."""
        return min(
            (next(iter(writer.in_flight.values())) for writer in self._writers if writer.in_flight), default=None
        )

    def send(self, intended_ns: Sequence[int]) -> None:
        """One message for each intended time, to the partitions in turn."""
        for writer, share in self._shares(intended_ns):
            writer.send(self._producer, self._arguments.topic, share)

    def refuse(self, intended_ns: Sequence[int]) -> None:
        """One operation for each intended time, noted as failed."""
        for writer, share in self._shares(intended_ns):
            writer.refuse(share)

    def poll(self, timeout_s: float) -> None:
        """Serve delivery reports for up to `timeout_s`. librdkafka waits in whole milliseconds; the rest is slept."""
        if timeout_s >= 0.001:
            self._producer.poll(timeout_s)
        else:
            self._producer.poll(0)
            if timeout_s > 0:
                time.sleep(timeout_s)
        if self.trouble.fatal is not None:
            self._remake(self.trouble.fatal)

    def abandon(self) -> None:
        """Have librdkafka give up all messages, and note what it says of each."""
        self._producer.purge()
        deadline = time.monotonic() + PURGE_S
        while self.in_flight and time.monotonic() < deadline:
            self._producer.poll(0.05)
        for writer in self._writers:
            writer.give_up()

    def _shares(self, intended_ns: Sequence[int]) -> list[tuple[PartitionWriter, Sequence[int]]]:
        count = len(self._writers)
        shares = [
            (self._writers[(self._turn + offset) % count], intended_ns[offset::count])
            for offset in range(min(count, len(intended_ns)))
        ]
        self._turn = (self._turn + len(intended_ns)) % count
        return shares

    def _remake(self, fatal: KafkaError) -> None:
        """A producer that met a fatal error sends nothing more: go on with a new one.

        The dead one is kept until the process ends; taking it down could block.
        """
        self.remakes.append(fatal.str())
        logger.error("the producer met a fatal error and is re-made: %s", fatal.str())
        if len(self.remakes) > MOST_REMAKES:
            raise UnavailableError(
                f"the Kafka producer met {len(self.remakes)} fatal errors, the last one: {fatal.str()}.",
                "look at the brokers' logs; with enable_idempotence false such an error is not fatal.",
            )
        self.abandon()
        self._dead.append(self._producer)
        self.trouble = Trouble()
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        settings = {
            "acks": self._arguments.acks,
            "enable.idempotence": self._arguments.idempotent,
            "queue.buffering.max.messages": QUEUE_MESSAGES,
        }
        connection = self._arguments.connection
        properties = {**connection.properties, **self._arguments.producer_properties}
        return new_producer(replace(connection, properties=properties), self.trouble, settings)
