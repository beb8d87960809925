"""The workload's arguments, good and bad."""

import re
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.workload import KafkaWorkload

OWN = "allow.auto.create.topics"
BASE = {"bootstrap_servers": "127.0.0.1:9092"}


def of(**more: Any) -> Arguments:
    return Arguments.of("drill one", {**BASE, **more})


def test_defaults_are_safe() -> None:
    assert of().facts() == {
        "topic": "chaosdrills-drill-one",
        "partitions": 6,
        "replication_factor": 3,
        "topic_config": {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "unclean.leader.election.enable": "false",
            "min.insync.replicas": "2",
        },
        "acks": "all",
        "enable_idempotence": True,
        "payload_bytes": 100,
        "client": "watchful",
    }


def test_texts_from_the_environment_are_understood() -> None:
    arguments = of(partitions="12", acks="1", reader="false", topic_config={"segment.bytes": 1000, "x": True})
    assert (arguments.partitions, arguments.acks, arguments.idempotent, arguments.reader) == (12, "1", False, False)
    assert arguments.config["segment.bytes"] == "1000"
    assert arguments.config["x"] == "true"


def test_an_empty_topic_is_the_drills_own() -> None:
    assert of(topic="").topic == "chaosdrills-drill-one"


def test_properties_go_over_everything_and_are_not_shown() -> None:
    arguments = of(properties={"sasl.password": "s3cret", "socket.timeout.ms": 9})
    assert arguments.connection.settings({"socket.timeout.ms": 1})["socket.timeout.ms"] == 9
    assert "s3cret" not in repr(arguments) + repr(arguments.connection) + repr(arguments.facts())


def test_a_plain_client_has_librdkafkas_own_settings() -> None:
    assert set(of(client="plain").connection.settings()) == {"bootstrap.servers", "log_level", OWN}
    assert of().connection.settings()["topic.metadata.refresh.interval.ms"] == 1000


@pytest.mark.parametrize(
    "argument", ["properties", "secrets", "producer_properties", "consumer_properties", "properties_file"]
)
@pytest.mark.parametrize("name", ["bootstrap.servers", "acks", "isolation.level", "default.topic.config", OWN])
def test_properties_that_would_measure_something_else_are_refused(argument: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "kafka.properties").write_text(f"{name}=1\n")
    value = str(tmp_path / "kafka.properties") if argument == "properties_file" else {name: "1"}
    with pytest.raises(UsageError, match=f"the Kafka properties set {re.escape(name)}, which is the drill's own"):
        KafkaWorkload("drill one", {**BASE, argument: value})


def test_no_client_makes_a_topic_by_asking_for_it() -> None:
    for client in ("watchful", "plain"):
        assert of(client=client).connection.settings({"acks": "all"})[OWN] is False


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"partitons": 3}, "no argument 'partitons'.*did you mean partitions"),
        ({"colour": 3}, "no argument 'colour'.*it takes bootstrap_servers"),
        ({"partitions": 0}, "partitions is 0"),
        ({"partitions": "many"}, "partitions is 'many'"),
        ({"partitions": True}, "partitions is True"),
        ({"acks": 0}, "acks is 0"),
        ({"acks": 2}, "acks is 2"),
        ({"acks": 1, "enable_idempotence": True}, "enable_idempotence needs acks 'all'"),
        ({"min_insync_replicas": 4}, "min_insync_replicas 4 is more than replication_factor 3"),
        ({"payload_bytes": 20}, "20 bytes is too small"),
        ({"topic": "a/b"}, "'a/b' is not a topic's name"),
        ({"topic": 7}, "topic is 7"),
        ({"client": "fast"}, "no client 'fast'"),
        ({"reader": "perhaps"}, "reader is 'perhaps'"),
        ({"properties": "x"}, "properties is not an object"),
        ({"bootstrap_servers": ""}, "no bootstrap servers"),
    ],
)
def test_bad_arguments_are_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        of(**more)
    assert __import__("re").search(message, str(caught.value), 0), str(caught.value)


def test_the_address_is_needed() -> None:
    with pytest.raises(UsageError, match="no bootstrap_servers"):
        Arguments.of("drill", {})


def test_a_group_is_described_as_it_is_in_force() -> None:
    def facts(**more: Any) -> dict[str, Any]:
        plain = of().facts()
        return {name: value for name, value in of(consumers=2, **more).facts().items() if name not in plain}

    classic = {"consumers": 2, "group_protocol": "classic", "session_timeout_s": 45.0}
    assert facts() == classic
    assert facts(session_timeout_s="") == classic
    assert facts(session_timeout_s="6.5") == {**classic, "session_timeout_s": 6.5}
    assert facts(properties={"session.timeout.ms": "10000"}) == {**classic, "session_timeout_s": 10.0}
    strategy = {"assignment_strategy": "cooperative-sticky"}
    assert facts(**strategy) == {**classic, **strategy}
    assert of(**strategy).group_settings["partition.assignment.strategy"] == "cooperative-sticky"
    new = {"consumers": 2, "group_protocol": "consumer"}
    assert facts(group_protocol="consumer") == new
    assert facts(consumer_properties={"group.protocol": "consumer"}) == new
    assert of(group_protocol="consumer", assignment_strategy="uniform").group_settings == {
        "group.protocol": "consumer",
        "group.remote.assignor": "uniform",
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"consumers": -1}, "consumers is -1"),
        ({"consumers": 7}, "7 consumers share 6 partitions"),
        ({"consumers": 1, "reader": False}, "consumers need the reader"),
        ({"group_protocol": "new"}, "no group protocol 'new'"),
        ({"group_protocol": "consumer", "session_timeout_s": 6}, "the brokers set the session timeout"),
        ({"session_timeout_s": 0}, "session_timeout_s is 0"),
        ({"session_timeout_s": "soon"}, "session_timeout_s is 'soon'"),
        ({"consumer_properties": {"group.id": "mine"}}, "set group.id, which is the drill's own"),
        ({"consumer_properties": {"group.instance.id": "a"}}, "set group.instance.id, which is the drill's own"),
    ],
)
def test_bad_arguments_of_a_group_are_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        of(**more)
