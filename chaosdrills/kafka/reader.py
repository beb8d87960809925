"""The reader beside the load: a consumer that tells which writes can be read, and when.

Ten times a second it notes, for each partition with news, the newest seq seen; for one without, once a second, that it
looked and found nothing (`OK`, null) or could not look (`FAILED`, null). A silent reader is not stale data.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaosdrills.core.history import NO_SEQ, NS, Outcome
from chaosdrills.host.clock import boottime_ns
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
    Trouble,
    new_consumer,
)
from chaosdrills.kafka.payload import Alien, Opener
from chaosdrills.observe.beside import Beside
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

POLL_S = 0.1
MOST_MESSAGES = 10_000
LOOK_NS = NS * 9 // 10
RETRY_S = 0.5

SETTINGS = {
    "auto.offset.reset": "latest",
    "fetch.wait.max.ms": 50,
    "fetch.error.backoff.ms": 100,
    "fetch.queue.backoff.ms": 10,
    "queued.min.messages": 20_000,
    "queued.max.messages.kbytes": 8192,
}


class Reader:
    """Reads the partitions of a drill's topic from the offsets `firsts` on, in a thread of its own."""

    def __init__(self, arguments: Arguments, drill_id: str, firsts: Mapping[int, int], page: Page) -> None:
        self.trouble = Trouble()
        self._arguments = arguments
        self._page = page
        self._openers = {partition: Opener(drill_id, partition) for partition in firsts}
        self._positions = dict(firsts)
        self._noted_ns = dict.fromkeys(firsts, 0)
        self._newest = dict.fromkeys(firsts, NO_SEQ)
        self._beside = Beside(self._run, "reader")

    def start(self) -> None:
        """Position a consumer and start reading."""
        self._consumer: Consumer | None = self._positioned()
        self._beside.start()

    def stop(self) -> None:
        """Stop reading; waits at most 10 s for the thread."""
        self._beside.stop()

    def _run(self) -> None:
        while not self._beside.stopped():
            try:
                self._read()
            except (KafkaException, RuntimeError):
                logger.exception("the reader starts again")
                self._beside.wait(RETRY_S)
        self._page.close()

    def _read(self) -> None:
        consumer, self._consumer = self._consumer or self._positioned(), None
        try:
            while not self._beside.stopped():
                self._look(consumer)
        finally:
            consumer.close()

    def _positioned(self) -> Consumer:
        """A consumer of all partitions, from where the last one was."""
        consumer = new_consumer(self._arguments.connection, self.trouble, SETTINGS)
        consumer.assign([TopicPartition(self._arguments.topic, *position) for position in self._positions.items()])
        return consumer

    def _look(self, consumer: Consumer) -> None:
        begun_ns, downs = boottime_ns(), self.trouble.downs
        messages = consumer.consume(MOST_MESSAGES, POLL_S)
        now_ns = boottime_ns()
        failed = self._take(messages)
        for partition, newest in self._newest.items():
            if newest != NO_SEQ:
                self._note(partition, newest, begun_ns, now_ns, Outcome.OK)
                self._newest[partition] = NO_SEQ
            elif now_ns - self._noted_ns[partition] >= LOOK_NS:
                broken = partition in failed or self.trouble.downs > downs
                self._note(partition, NO_SEQ, begun_ns, now_ns, Outcome.FAILED if broken else Outcome.OK)
        self._page.turn()

    def _take(self, messages: list[Message]) -> set[int]:
        """Find the newest seq of each partition; returns the partitions that could not be read."""
        found = look_through(messages, self._openers)
        self._positions.update(found.positions)
        self._newest.update(found.newest)
        return found.failed

    def _note(self, partition: int, seq: int, begun_ns: int, now_ns: int, outcome: Outcome) -> None:
        self._page.read(partition, seq, begun_ns, now_ns, int(outcome))
        self._noted_ns[partition] = now_ns


@dataclass(frozen=True)
class Found:
    """What messages told of partitions: `newest` seq, `positions` (the offset that comes next), and which `failed`.

    `errors` are those that belong to no partition.
    """

    newest: dict[int, int]
    positions: dict[int, int]
    failed: set[int]
    errors: list[KafkaError]


def look_through(messages: list[Message], openers: Mapping[int, Opener]) -> Found:
    """Find the newest seq of each partition.

    Usually that is the last message's; where it is not of this drill, the ones before are looked at.
    """
    last: dict[int, list[Message]] = {}
    found = Found({}, {}, set(), [])
    for message in messages:
        partition, error = message.partition(), message.error()
        if error is None:
            last.setdefault(partition or 0, []).append(message)
        elif partition is not None and message.topic() is not None:  # other errors come with partition 0 and no topic
            found.failed.add(partition)
        else:
            found.errors.append(error)
    for partition, its in last.items():
        found.positions[partition] = (its[-1].offset() or 0) + 1
        found.newest[partition] = _newest_of(reversed(its), openers[partition])
    return found


def _newest_of(messages: Iterable[Message], opener: Opener) -> int:
    for message in messages:
        seq = opener.open(message.value())
        if not isinstance(seq, Alien):
            return seq
    return NO_SEQ
