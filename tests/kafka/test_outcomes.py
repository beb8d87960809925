"""Which errors say that a write was certainly not applied."""

import pytest

from chaosdrills.core.history import Outcome
from chaosdrills.kafka.client import KafkaError
from chaosdrills.kafka.outcomes import outcome_of


def test_no_error_is_the_acknowledgement() -> None:
    assert outcome_of(None) is Outcome.OK


@pytest.mark.parametrize(
    "name", ["MSG_SIZE_TOO_LARGE", "TOPIC_AUTHORIZATION_FAILED", "NOT_ENOUGH_REPLICAS", "POLICY_VIOLATION"]
)
def test_refused_before_the_append_is_failed(name: str) -> None:
    assert outcome_of(KafkaError(getattr(KafkaError, name))) is Outcome.FAILED


@pytest.mark.parametrize(
    "name",
    [
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "NOT_LEADER_FOR_PARTITION",
        "REQUEST_TIMED_OUT",
        "KAFKA_STORAGE_ERROR",
        "UNKNOWN_TOPIC_OR_PART",
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "UNKNOWN",
        "_MSG_TIMED_OUT",
        "_PURGE_QUEUE",
        "_PURGE_INFLIGHT",
        "_TRANSPORT",
        "_TIMED_OUT",
        "_FATAL",
    ],
)
def test_all_else_may_have_been_applied(name: str) -> None:
    assert outcome_of(KafkaError(getattr(KafkaError, name))) is Outcome.UNKNOWN
