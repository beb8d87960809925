"""Sending: one producer, and for each partition what is in flight.

A message's callback is that of its partition; the seq comes from the payload, the intended time from a dictionary.
Messages of one partition that are due together are queued by one call.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from chaosdrills.core.history import NO_TIME, Outcome
from chaosdrills.errors import InternalError, UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import KafkaError, KafkaException, Message, Producer, Trouble, new_producer
from chaosdrills.kafka.outcomes import outcome_of
from chaosdrills.kafka.payload import Sealer, seq_reader
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

QUEUE_MESSAGES = 1_000_000  # the observer's own bound of what is in flight is below
PURGE_S = 2.0
REMAKE_AFTER_S = 1.0
MOST_REMAKES = 20
_OK, _FAILED, _UNKNOWN = (int(outcome) for outcome in Outcome)


class PartitionWriter:
    """One partition: its seqs, and the intended times of what is in flight, oldest first."""

    def __init__(self, drill_id: str, partition: int, payload_bytes: int, page: Page, served: list[int]) -> None:
        self.in_flight: dict[int, int] = {}
        self._served = served
        self._partition = partition
        self._sealer = Sealer(drill_id, partition, payload_bytes)
        self._page = page
        self._delivered = self._delivery_report(seq_reader(payload_bytes))
        self._next = 0

    def send(self, producer: Producer, topic: str, intended_ns: Sequence[int]) -> None:
        """Queue one message for each intended time; note as failed what the queue does not take."""
        first = self._next
        self._next = first + len(intended_ns)
        seqs = range(first, self._next)
        self.in_flight.update(zip(seqs, intended_ns, strict=True))
        messages: list[dict[str, Any]] = [{"value": payload} for payload in self._sealer.seal_all(seqs)]
        try:
            queued = producer.produce_batch(topic, messages, self._partition, self._delivered)
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

    def _delivery_report(self, seq_of: Callable[[bytes], tuple[int]]) -> Callable[[KafkaError | None, Message], None]:
        """What librdkafka calls with each message whose outcome is final.

        All that it uses is bound here, once: it runs for every message, and is most of what the ledger costs.
        """
        partition, take, note = self._partition, self.in_flight.pop, self._page.written.extend
        served = self._served

        def delivered(error: KafkaError | None, message: Message) -> None:
            now_ns = served[0]
            if not now_ns:
                now_ns = served[0] = boottime_ns()
            (seq,) = seq_of(message.value())  # type: ignore[arg-type]
            note((partition, seq, take(seq), now_ns, _OK if error is None else int(outcome_of(error))))

        return delivered

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
        self._made = 0.0
        self._producer = self._new_producer()
        self._fatal: KafkaError | None = None
        self._dead: list[Producer] = []
        self._writers: list[PartitionWriter] = []
        self._served = [0]
        self._turn = 0

    def prime(self, timeout_s: float) -> None:
        """Have the producer know the topic's partitions before the first message."""
        self._producer.list_topics(self._arguments.topic, timeout=timeout_s)

    def begin(self, page: Page) -> None:
        """Note from now on in `page`."""
        size = self._arguments.payload_bytes
        self._writers = [
            PartitionWriter(self._drill_id, partition, size, page, self._served)
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
        self._serve(timeout_s if timeout_s >= 0.001 else 0)
        if 0 < timeout_s < 0.001:
            time.sleep(timeout_s)
        if self._fatal is not None and time.monotonic() - self._made >= REMAKE_AFTER_S:
            self._remake(self._fatal)

    def abandon(self) -> None:
        """Have librdkafka give up all messages, and note what it says of each."""
        self._producer.purge()
        deadline = time.monotonic() + PURGE_S
        while self.in_flight and time.monotonic() < deadline:
            self._serve(0.05)
        for writer in self._writers:
            writer.give_up()

    def _serve(self, timeout_s: float) -> None:
        """Serve the delivery reports that are there, or the first that come.

        One call serves what had come when it began to (rd_kafka_q_serve), so they share the instant of the first.
        """
        self._served[0] = 0
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            self._take_fatal(error)

    def _shares(self, intended_ns: Sequence[int]) -> list[tuple[PartitionWriter, Sequence[int]]]:
        count = len(self._writers)
        shares = [
            (self._writers[(self._turn + offset) % count], intended_ns[offset::count])
            for offset in range(min(count, len(intended_ns)))
        ]
        self._turn = (self._turn + len(intended_ns)) % count
        return shares

    def _take_fatal(self, error: KafkaException) -> None:
        """confluent-kafka raises a producer's fatal error where it is polled; it is dead from then on."""
        inner = error.args[0]
        if not inner.fatal():
            raise InternalError(f"polling the Kafka producer failed: {inner.str()}.") from error
        self._fatal = inner
        self.trouble.note(inner)

    def _remake(self, fatal: KafkaError) -> None:
        """A producer that met a fatal error refuses all messages: go on with a new one, at most once a second.

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
        self._fatal = None
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        settings = {
            "acks": self._arguments.acks,
            "enable.idempotence": self._arguments.idempotent,
            "queue.buffering.max.messages": QUEUE_MESSAGES,
        }
        connection = self._arguments.connection
        properties = {**connection.properties, **self._arguments.producer_properties}
        self._made = time.monotonic()
        return new_producer(replace(connection, properties=properties), self.trouble, settings)
