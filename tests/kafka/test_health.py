"""When a cluster counts as whole."""

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.kafka.client import ClusterView, Connection, Partition
from chaosdrills.kafka.health import Health, assess, look, wait_whole
from tests.kafka.brokers import new_topic

BROKERS = {1: "a:1", 2: "b:1", 3: "c:1"}


def view(*partitions, brokers=BROKERS):
    return ClusterView("x", brokers, {"t": partitions})


WHOLE = Partition(0, 1, (1, 2, 3), (3, 1, 2))


@pytest.mark.parametrize(
    ("seen", "health", "lacks"),
    [
        (view(), Health(3), ""),
        (view(WHOLE), Health(3), ""),
        (
            view(Partition(0, 2, (1, 2, 3), (1, 2, 3))),
            Health(3, not_preferred=1),
            "1 partitions not led by their preferred replica",
        ),
        (view(Partition(0, 1, (1, 2, 3), (1, 2))), Health(3, under_replicated=1), "1 under-replicated partitions"),
        (
            view(Partition(0, None, (1,), (1,)), WHOLE),
            Health(3, offline=1),
            "1 partitions without a leader",
        ),
        (
            view(Partition(0, 2, (1, 2), (2,)), WHOLE, brokers={2: "b:1", 3: "c:1"}),
            Health(2, missing=(1,), under_replicated=1, not_preferred=1),
            "missing broker 1, 1 under-replicated partitions, 1 partitions not led by their preferred replica",
        ),
    ],
)
def test_what_metadata_shows(seen, health, lacks):
    assert assess(seen) == health
    assert health.lacks() == lacks
    assert health.whole == (not lacks)


def test_brokers_that_hold_nothing_are_missed_where_they_are_expected():
    seen = view(Partition(0, 1, (1,), (1,)), brokers={1: "a:1"})
    assert assess(seen) == Health(1)
    assert assess(seen, expected={1, 2, 3}) == Health(1, missing=(2, 3))
    assert assess(seen, expected={1, 2, 3}).lacks() == "missing brokers 2, 3"


def test_a_silent_broker_is_a_lack():
    health = Health(3, silent=(2,))
    assert not health.replicated
    assert health.lacks() == "no whole view from broker 2"


@pytest.mark.lab
def test_a_running_cluster_is_whole_to_all_its_brokers(kafka_lab):
    new_topic(kafka_lab, partitions=3)
    connection = Connection(kafka_lab.endpoint)
    assert wait_whole(connection, {1, 2, 3}, 60) == Health(3)
    assert look(connection, {1, 2, 3}) == Health(3)


@pytest.mark.lab
def test_a_broker_that_was_never_there_is_told_after_the_time(kafka_lab):
    with pytest.raises(UnavailableError) as raised:
        wait_whole(Connection(kafka_lab.endpoint), {1, 2, 3, 7}, 0.1)
    assert raised.value.message == "the Kafka cluster is not whole after 0.1 s: missing broker 7."


def test_a_cluster_that_does_not_answer_is_told_after_the_time():
    with pytest.raises(UnavailableError, match=r"not whole after 0\.1 s: no Kafka broker answers at 127\.0\.0\.1:1"):
        wait_whole(Connection("127.0.0.1:1"), (), 0.1)
