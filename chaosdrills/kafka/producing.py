"""Sending: one producer, its partitions in turn, and what became of each message.

Message k goes to partition k mod n as its seq k // n. A delivery report costs one list append; payloads of the reports
that one poll has served are then taken apart together, since they say by themselves which messages they were.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chaosdrills.core.history import NO_TIME, Ints, Outcome
from chaosdrills.errors import InternalError, UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import KafkaError, KafkaException, Message, Producer, Trouble, new_producer
from chaosdrills.kafka.outcomes import outcome_of
from chaosdrills.kafka.payload import Sealer, where_and_which
from chaosdrills.observe.in_flight import InFlight
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

QUEUE_MESSAGES = 1_000_000  # the observer's own bound of what is in flight is below
PURGE_S = 2.0
REMAKE_AFTER_S = 1.0
MOST_REMAKES = 20


class Sending:
    """The producer of a drill, re-made after a fatal error. What became of messages is noted in `page`."""

    def __init__(self, arguments: Arguments, drill_id: str) -> None:
        self.trouble = Trouble()
        self.remakes: list[str] = []
        self._arguments = arguments
        self._drill_id = drill_id
        self._in_flight = InFlight()
        self._acked: list[bytes] = []
        self._others: list[tuple[bytes, Outcome]] = []
        self._delivered = self._delivery_report()
        self._made = 0.0
        self._producer = self._new_producer()
        self._fatal: KafkaError | None = None
        self._dead: list[Producer] = []

    def prime(self, timeout_s: float) -> None:
        """Have the producer know the topic's partitions before the first message."""
        self._producer.list_topics(self._arguments.topic, timeout=timeout_s)

    def begin(self, page: Page) -> None:
        """Note from now on in `page`."""
        self._page = page
        size, partitions = self._arguments.payload_bytes, range(self._arguments.partitions)
        self._sealers = [Sealer(self._drill_id, partition, size) for partition in partitions]

    @property
    def in_flight(self) -> int:
        """How many messages have no delivery report yet."""
        return self._in_flight.count

    def oldest_in_flight_ns(self) -> int | None:
        """The intended time of the oldest of them."""
        return self._in_flight.oldest_ns()

    def send(self, intended_ns: Sequence[int]) -> None:
        """One message for each intended time, to the partitions in turn; those of a partition are queued together."""
        first = self._in_flight.add(intended_ns)
        end, count = first + len(intended_ns), len(self._sealers)
        for number in range(first, min(first + count, end)):
            partition, seq = number % count, number // count
            seqs = range(seq, seq + (end - number + count - 1) // count)
            refused = self._queue(partition, self._sealers[partition].seal_all(seqs))
            if refused:
                self._settle(np.array([seqs[at] * count + partition for at in refused]), boottime_ns(), Outcome.FAILED)

    def refuse(self, intended_ns: Sequence[int]) -> None:
        """One operation for each intended time, noted as failed."""
        first = self._in_flight.add(intended_ns)
        self._settle(np.arange(first, first + len(intended_ns)), boottime_ns(), Outcome.FAILED)

    def poll(self, timeout_s: float) -> None:
        """Serve delivery reports for up to `timeout_s`. librdkafka waits in whole milliseconds; the rest is slept."""
        self._serve(timeout_s if timeout_s >= 0.001 else 0)
        if 0 < timeout_s < 0.001:
            time.sleep(timeout_s)
        if self._fatal is not None and time.monotonic() - self._made >= REMAKE_AFTER_S:
            self._remake(self._fatal)

    def abandon(self) -> None:
        """Have librdkafka give up all messages and note what it says of each; the rest was never heard of again."""
        self._producer.purge()
        deadline = time.monotonic() + PURGE_S
        while self.in_flight and time.monotonic() < deadline:
            self._serve(0.05)
        self._settle(self._in_flight.numbers(), NO_TIME, Outcome.UNKNOWN)

    def _queue(self, partition: int, payloads: list[bytes]) -> list[int]:
        """Queue messages of one partition; returns which of them librdkafka did not take."""
        messages: list[dict[str, Any]] = [{"value": payload} for payload in payloads]
        try:
            queued = self._producer.produce_batch(self._arguments.topic, messages, partition, self._delivered)
        except (BufferError, KafkaException):
            logger.exception("a batch was not queued")
            return list(range(len(messages)))
        if queued == len(messages):
            return []
        return [at for at, message in enumerate(messages) if "_error" in message]

    def _delivery_report(self) -> Callable[[KafkaError | None, Message], None]:
        """What librdkafka calls for each message. It has all it needs at hand: it is most of what the ledger costs."""
        acked, others = self._acked.append, self._others.append

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                acked(message.value())  # type: ignore[arg-type]
            else:
                others((message.value() or b"", outcome_of(error)))

        return delivered

    def _serve(self, timeout_s: float) -> None:
        """Serve the delivery reports that are there, or the first that come; they share the instant of this."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            self._take_fatal(error)
        now_ns = boottime_ns()
        if self._acked:
            self._settle(self._numbers(self._acked), now_ns, Outcome.OK)
            self._acked.clear()
        if self._others:
            for outcome in (Outcome.FAILED, Outcome.UNKNOWN):
                payloads = [payload for payload, its in self._others if its is outcome]
                self._settle(self._numbers(payloads), now_ns, outcome)
            self._others.clear()

    def _numbers(self, payloads: list[bytes]) -> Ints:
        partitions, seqs = where_and_which(payloads, self._arguments.payload_bytes)
        return seqs * len(self._sealers) + partitions

    def _settle(self, numbers: Ints, completed_ns: int, outcome: Outcome) -> None:
        """Note the outcome of the messages with these numbers."""
        if len(numbers) == 0:
            return
        table = np.empty((len(numbers), 5), np.int64)
        table[:, 1], table[:, 0] = np.divmod(numbers, len(self._sealers))
        table[:, 2] = self._in_flight.settle(numbers)
        table[:, 3], table[:, 4] = completed_ns, outcome
        self._page.write_all(table)

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
