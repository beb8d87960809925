"""A barrier after a drill's last message: what a partition acknowledged before it is visible, or gone.

A consumer sees a log up to its high watermark, which trails what a leader acknowledged alone (acks=1) for as long as
its followers take to fetch, and which a leader that was just elected may not know yet. A message that all in-sync
replicas have (acks=all) lies behind everything that its leader's log kept: up to its offset the log is whole and can be
seen. The barrier itself has the key `KEY` and no value.
"""

import time
from collections.abc import Iterable

from chaosdrills.errors import UnavailableError
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import KafkaError, KafkaException, Message, Trouble, new_producer

KEY = b"chaosdrills: the end of a drill"
POLL_S = 0.1
LEAST_S = 1.0


class Barrier:
    """One barrier for each partition. `offsets` are those that are in the log of all in-sync replicas."""

    def __init__(self, arguments: Arguments) -> None:
        self.offsets: dict[int, int] = {}
        self._arguments = arguments
        self._trouble = Trouble()
        self._refused: dict[int, str] = {}

    def raise_in(self, partitions: Iterable[int], deadline: float) -> dict[int, int]:
        """Put a barrier into each partition; returns their offsets.

        Raises `UnavailableError` if one is not in all in-sync replicas by `deadline` (time.monotonic()).
        """
        wanted = list(partitions)
        left_ms = int(1000 * max(LEAST_S, deadline - time.monotonic()))
        producer = new_producer(
            self._arguments.connection,
            self._trouble,
            {"acks": "all", "linger.ms": 0, "enable.idempotence": True, "delivery.timeout.ms": left_ms},
        )
        try:
            for partition in wanted:
                producer.produce(self._arguments.topic, None, KEY, partition, on_delivery=self._delivered)
        except KafkaException as error:
            raise UnavailableError(
                f"the end of the drill cannot be marked in its topic: {error.args[0].str()}.", "look at the brokers."
            ) from error
        while len(self.offsets) + len(self._refused) < len(wanted) and time.monotonic() < deadline:
            producer.poll(POLL_S)
        producer.purge()
        producer.flush(LEAST_S)
        self._require(wanted)
        return self.offsets

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if partition is None:
            return
        if error is None and offset is not None:
            self.offsets[partition] = offset
        else:
            self._refused[partition] = error.str() if error is not None else "it got no offset"

    def _require(self, wanted: list[int]) -> None:
        for partition in wanted:
            if partition not in self.offsets:
                reason = self._refused.get(partition) or self._trouble.last or "no answer"
                raise UnavailableError(
                    f"partition {partition} of {self._arguments.topic} does not take a message with acks=all at the "
                    f"end of the drill, so nobody can see all that it kept: {reason}.",
                    "wait until the cluster is whole before the load ends, or give the read-back more time.",
                )
