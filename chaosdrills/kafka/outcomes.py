"""What a delivery report says about a write.

confluent-kafka does not hand on librdkafka's message status (persisted, possibly persisted, not persisted), so the
outcome is told from the error's code:

- none: `OK`. The acknowledgement that `acks` asks for has come.
- raised by the call that queues a message (_QUEUE_FULL, _UNKNOWN_PARTITION, MSG_SIZE_TOO_LARGE, _FATAL after an earlier
  fatal error): `FAILED`. It never left this process.
- TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, MSG_SIZE_TOO_LARGE, RECORD_LIST_TOO_LARGE,
  INVALID_REQUIRED_ACKS, INVALID_TIMESTAMP, INVALID_RECORD, POLICY_VIOLATION, UNSUPPORTED_FOR_MESSAGE_FORMAT,
  UNSUPPORTED_COMPRESSION_TYPE: `FAILED`. The broker looks at these before it appends anything (KafkaApis
  .handleProduceRequest, UnifiedLog.analyzeAndValidateRecords, LogValidator), and librdkafka does not retry them.
- NOT_ENOUGH_REPLICAS: `FAILED`. The in-sync set was below min.insync.replicas before the append (Partition
  .appendRecordsToLeader). librdkafka retries it until the delivery timeout, so it is seen only with few `retries`.
- NOT_ENOUGH_REPLICAS_AFTER_APPEND: `UNKNOWN`. Appended, and not replicated as far as was promised.
- REQUEST_TIMED_OUT, _TIMED_OUT, _TRANSPORT, NETWORK_EXCEPTION, _PURGE_INFLIGHT: `UNKNOWN`. Sent, and no answer came.
- _MSG_TIMED_OUT, _PURGE_QUEUE: `UNKNOWN`. Waiting to be sent when given up, but perhaps not for the first time: what
  waits for its retry is in the same queue.
- everything else: `UNKNOWN`. Also NOT_LEADER_FOR_PARTITION: a leader that is deposed while a write waits for its
  replicas answers so after the append.

A refusal that comes on a retry does not say what became of the first attempt. Such a write stands as `FAILED` although
it may turn up; it then counts as recovered, and nothing is called safe that is not.

Sources: librdkafka `rd_kafka_handle_Produce_error` and its table of actions; Kafka's Errors and the classes named.
"""

from chaosdrills.core.history import Outcome
from chaosdrills.kafka.client import KafkaError

FAILED_CODES = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
        KafkaError.NOT_ENOUGH_REPLICAS,
    }
)


def outcome_of(error: KafkaError | None) -> Outcome:
    """The outcome of a write whose delivery report carries `error`."""
    if error is None:
        return Outcome.OK
    return Outcome.FAILED if error.code() in FAILED_CODES else Outcome.UNKNOWN
