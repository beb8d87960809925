"""Where the log of a partition starts and ends, as its leader says."""

import time

from chaosdrills.errors import UnavailableError
from chaosdrills.kafka.client import Consumer, KafkaException, TopicPartition

ASK_S = 2.0
POLL_S = 0.1


def log_of(consumer: Consumer, topic: str, partition: int, deadline: float) -> tuple[int, int]:
    """The first offset of a partition's log and the one after its last, up to the monotonic instant `deadline`.

    Asks again while the partition has no leader, or one that does not know it yet. Raises `UnavailableError`.
    """
    where = TopicPartition(topic, partition)
    while True:
        try:
            marks = consumer.get_watermark_offsets(where, timeout=ASK_S)
            trouble = "it does not answer"
        except KafkaException as error:
            marks, trouble = None, error.args[0].str()
        if marks is not None:
            return int(marks[0]), int(marks[1])
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"the leader of partition {partition} of {topic} does not tell where its log ends: {trouble}.",
                "look at the brokers; one may be down or hang.",
            )
        time.sleep(POLL_S)
