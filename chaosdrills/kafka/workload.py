"""The Kafka workload: writes to a topic of its own, one stream a partition, and a reader beside it.

Write k goes to partition k mod n; its payload says by itself what it is (`chaosdrills.kafka.payload`). Outcomes come
from delivery reports (`chaosdrills.kafka.outcomes`), survivors from a read-back through fresh connections.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaosdrills.core.history import StreamKind
from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.kafka import topics
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import Admin, KafkaException, Trouble, new_consumer, versions
from chaosdrills.kafka.group import Group
from chaosdrills.kafka.offsets import log_of
from chaosdrills.kafka.producing import Sending
from chaosdrills.kafka.readback import ReadBack
from chaosdrills.kafka.reader import Reader
from chaosdrills.observe.by_sending import BySending
from chaosdrills.observe.workload import Opened, Page, Progress, Survivors

logger = logging.getLogger(__name__)

CONNECT_S = 10.0  # an address nobody answers at is told within this, however long the drill would wait
REMOVE_S = 10.0
SAY_S = 1.0  # what is left of the time to open, so that the reason is told and not only that it ran out


class KafkaWorkload(BySending[Sending]):
    """`chaosdrills.observe.workload.Workload` for Kafka. Arguments: see `chaosdrills.kafka.arguments.Arguments`."""

    stream_kind: StreamKind = "log"

    def __init__(self, drill_id: str, arguments: Mapping[str, Any]) -> None:
        self._drill_id = drill_id
        self._arguments = Arguments.of(drill_id, arguments)
        self._sending = Sending(self._arguments, drill_id)
        self._firsts: dict[int, int] = {}
        self._reader: Reader | None = None
        self._group: Group | None = None
        self._made = False
        self._removed = False
        self._read_back: ReadBack | None = None

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Look at arguments before a run, for `chaos validate`. Raises `UsageError`; connects to nothing."""
        Arguments.check(given)

    def open(self, timeout_s: float) -> Opened:
        """Connect, make or check the topic, and note where each partition ends now."""
        deadline = time.monotonic() + timeout_s
        admin = Admin(self._arguments.connection)
        view = admin.view(min(timeout_s, CONNECT_S))
        self._made = topics.prepare(admin, self._arguments, timeout_s)
        self._firsts = self._ends(deadline)
        self._prime(max(1.0, deadline - time.monotonic()))
        if self._arguments.consumers:
            self._group = Group(self._arguments, self._drill_id, self._firsts)
            self._group.open(deadline - SAY_S)
        facts = {
            **self._arguments.facts(),
            **({} if self._group is None else {"group": self._group.name}),
            **versions(),
            "cluster_id": view.cluster_id,
            "brokers": len(view.brokers),
            "topic_made": self._made,
        }
        return Opened([str(partition) for partition in self._firsts], facts)

    def begin(self, page: Page, reader_page: Page) -> None:
        """Start the reader, or listen to the consumer group, if there is to be one."""
        self._sending.begin(page)
        if self._group is not None:
            self._group.start(reader_page)
        elif self._arguments.reader:
            self._reader = Reader(self._arguments, self._drill_id, self._firsts, reader_page)
            self._reader.start()

    def trouble(self) -> str:
        """The last trouble of the producer's connections."""
        return self._sending.trouble.last

    def end_reading(self) -> None:
        """Stop the reader, and end the consumers."""
        if self._reader is not None:
            self._reader.stop()
        if self._group is not None:
            self._group.stop()

    def read_back(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        """Read every partition to its end through fresh connections."""
        self._read_back = ReadBack(self._arguments, self._drill_id, self._firsts)
        return self._read_back.run(timeout_s, progress)

    def findings(self) -> Mapping[str, Any]:
        """`topic`, `producer_remakes` (the fatal errors), and what the read-back met besides: `foreign`, `damaged`.

        With a consumer group also `consumers_lost`: how many of its members were killed.
        """
        found: dict[str, Any] = {"topic": self._arguments.topic, "producer_remakes": list(self._sending.remakes)}
        if self._made and not self._arguments.keep_topic:
            found["stays"] = self._remains
        if self._group is not None:
            found["consumers_lost"] = self._group.lost
        if self._read_back is not None:
            found |= {"foreign": self._read_back.foreign, "damaged": self._read_back.damaged}
        return found

    def checks(self) -> Sequence[tuple[str, bool, str]]:
        """Whether one producer lasted for the whole load, and no consumer ended by itself."""
        remakes, found = self._sending.remakes, []
        if remakes:
            found.append(("one producer", False, f"re-made after a fatal error: {remakes[-1]}"))
        if self._group is not None and self._group.faults:
            found.append(("consumers", False, self._group.faults[0]))
        return found

    def close(self, done: bool) -> None:
        """Stop reading; remove the topic of a whole drill if it was made here and is not to be kept, and its group."""
        self.end_reading()
        if done and self._group is not None:
            self._group.remove()
        if done and self._made and not self._arguments.keep_topic and not self._removed:
            try:
                Admin(self._arguments.connection).delete_topic(self._arguments.topic, REMOVE_S)
                self._removed = True
            except DrillError as error:
                logger.warning("the topic stays: %s", error)
        if not done and self._made and not self._arguments.keep_topic:
            logger.warning("what the drill wrote stays, as evidence: %s", self._remains)

    @property
    def _remains(self) -> str:
        return f"the topic {self._arguments.topic}"

    def _prime(self, timeout_s: float) -> None:
        try:
            self._sending.prime(timeout_s)
        except KafkaException as error:
            raise UnavailableError(
                f"the Kafka producer gets no metadata: {error.args[0]}.", "look at the brokers' logs."
            ) from error

    def _ends(self, deadline: float) -> dict[int, int]:
        """The end offset of each partition: where this drill begins."""
        consumer = new_consumer(self._arguments.connection, Trouble(), {})
        topic, partitions = self._arguments.topic, range(self._arguments.partitions)
        try:
            return {partition: log_of(consumer, topic, partition, deadline)[1] for partition in partitions}
        finally:
            consumer.close()
