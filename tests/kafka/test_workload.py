"""The Kafka workload on real brokers: what it records, and what the read-back finds."""

import signal
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaosdrills.core.history import NO_SEQ, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import DrillError, UnavailableError, UsageError
from chaosdrills.host.nodes import Cluster, load, start_node
from chaosdrills.host.processes import send_signal, wait_gone, wait_until
from chaosdrills.kafka.client import Admin, Connection, Producer, Trouble, new_producer
from chaosdrills.kafka.health import wait_whole
from chaosdrills.kafka.payload import Sealer
from chaosdrills.lab.ports import is_free
from chaosdrills.observe.live import wait_restored
from tests.kafka.brokers import paused
from tests.kafka.conftest import Drill, StartDrill

pytestmark = pytest.mark.lab


def by_hand(endpoint: str, topic: str, messages: list[tuple[int, bytes | None]]) -> None:
    """Write (partition, value) to a topic, past the observer."""
    producer: Producer = new_producer(Connection(endpoint), Trouble(), {})
    for partition, value in messages:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0


def survivors(drill: Drill) -> dict[int, list[int]]:
    return {stream: list(final.seqs) for stream, final in drill.history.finals.items()}


def written(drill: Drill, outcome: Outcome) -> dict[int, set[int]]:
    writes = drill.history.writes
    chosen = writes.select(writes.outcome == outcome)
    return {stream: set(chosen.seq[chosen.stream == stream].tolist()) for stream in range(len(drill.history.streams))}


def leader_of(lab: Cluster, topic: str, partition: int) -> int:
    leader = Admin(Connection(lab.endpoint)).view(10, topic).topics[topic][partition].leader
    assert leader is not None
    return leader


def test_a_healthy_run(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill()
    drill.wait_acked(400)
    drill.session.mark("fault_begin", "nothing")
    result = drill.finish()

    history = drill.history
    assert result["acked"] == result["sent"] == len(history.writes)
    assert [check["ok"] for check in result["checks"]] == [True, True, True], result["checks"]
    assert result["findings"] == {
        "topic": drill.topic,
        "stays": f"the topic {drill.topic}",
        "producer_remakes": [],
        "foreign": 0,
        "damaged": 0,
    }
    assert history.streams == ("0", "1", "2", "3", "4", "5")
    assert history.end_ns is not None
    for stream in range(6):
        seqs = history.writes.seq[history.writes.stream == stream]
        assert sorted(seqs) == list(range(len(seqs)))
        assert list(history.finals[stream].seqs) == list(range(len(seqs)))
        seen = history.reads.select((history.reads.stream == stream) & (history.reads.seq != NO_SEQ))
        assert len(seen) >= 5
        assert (np.diff(seen.seq) > 0).all()
    assert history.header["acks"] == "all"
    assert history.header["cluster_id"]
    assert kafka_lab.endpoint not in str(history.header)
    assert drill.topic not in Admin(Connection(kafka_lab.endpoint)).view(10).topics


def test_a_killed_leader_costs_time_and_nothing_else(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill()
    wait_whole(Connection(kafka_lab.endpoint), [1, 2, 3], 60)
    assert wait_until(lambda: drill.session.snapshot()["clean_s"] > 8, 90), "no clean baseline"
    victim = leader_of(kafka_lab, drill.topic, 0)
    node = load("kafka").node(victim)  # type: ignore[union-attr]
    assert node.process is not None
    drill.session.mark("fault_begin", f"kill broker {victim}")
    send_signal(node.process, signal.SIGKILL)
    assert not wait_gone([node.process], 10)
    drill.session.mark("fault_end")
    try:
        assert wait_until(lambda: drill.session.snapshot()["silent_s"] > 2, 20), "nobody noticed"
        restored_s = wait_restored(drill.record, Parameters(watch_s=5), 90, drill.clock_ns)
        assert restored_s is not None, drill.session.snapshot()
    finally:
        drill.session.mark("heal_begin")
        start_node("kafka", victim)
        wait_whole(Connection(kafka_lab.endpoint), [1, 2, 3], 90)
        drill.session.mark("heal_end")
    drill.wait_acked(2400)
    result = drill.finish()

    assert all(check["ok"] for check in result["checks"]), result["checks"]
    found = judge(drill.history, Limits(rto_s=60, rpo_s=900, max_lost=0), Parameters(watch_s=5)).as_dict()
    assert (found["lost"], found["duplicated"], found["unexpected"], found["unknown"]) == (0, 0, 0, 0)
    assert found["rto_actual_s"] is not None, list(found.items())
    assert 3 < found["rto_actual_s"] < 60
    assert found["rto_verdict"] == "met", list(found.items())


def test_planted_messages_are_found_for_what_they_are(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(partitions=2)
    drill.wait_acked(50)
    ours, other = Sealer(drill.drill_id, 1, 100), Sealer("another-drill", 1, 100)
    damaged = bytearray(ours.seal(3))
    damaged[60] ^= 1
    never = 1_000_000
    planted = [bytes(damaged), ours.seal(3), other.seal(4), b"not a drill's", None, ours.seal(never), ours.seal(3)[:80]]
    by_hand(kafka_lab.endpoint, drill.topic, [(1, value) for value in planted])
    misrouted = Sealer(drill.drill_id, 1, 100).seal(5)
    by_hand(kafka_lab.endpoint, drill.topic, [(0, misrouted)])
    drill.wait_acked(50)
    result = drill.finish()

    found = survivors(drill)
    acked = written(drill, Outcome.OK)
    assert sorted(found[0]) == [NO_SEQ, *sorted(acked[0])]
    assert sorted(found[1]) == sorted([NO_SEQ, NO_SEQ, 3, never, *acked[1]])
    assert (result["findings"]["foreign"], result["findings"]["damaged"]) == (3, 3)
    judged = judge(drill.history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["duplicated"], judged["unexpected"]) == (0, 1, 4)


def test_a_second_drill_on_the_same_topic(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    first = start_drill(keep_topic=True, partitions=2)
    first.wait_acked(50)
    first.finish()
    assert first.topic in Admin(Connection(kafka_lab.endpoint)).view(10).topics
    second = start_drill(topic=first.topic, partitions=2)
    second.wait_acked(50)
    result = second.finish()
    assert result["findings"]["foreign"] == sum(len(seqs) for seqs in survivors(first).values())
    assert {stream: set(seqs) for stream, seqs in survivors(second).items()} == written(second, Outcome.OK)
    assert first.topic in Admin(Connection(kafka_lab.endpoint)).view(10).topics


def test_the_death_of_the_drill(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(eof_drain_s=2.0)
    drill.wait_acked(50)
    drill.session._channel.close()
    assert not wait_gone([drill.session.identity], 20)
    history = drill.history
    assert (history.end_ns, len(history.finals)) == (None, 0)
    assert [mark.name for mark in history.marks] == ["load_end", "drained"]
    assert len(history.writes) >= 50
    assert drill.topic in Admin(Connection(kafka_lab.endpoint)).view(10).topics


def test_what_cannot_be_sent_is_recorded_as_failed(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(max_in_flight=60)
    drill.wait_acked(50)
    with paused(load("kafka").nodes):  # type: ignore[union-attr]
        assert wait_until(lambda: drill.session.snapshot()["failed"] > 100, 30), drill.session.snapshot()
        seen = drill.session.snapshot()
        assert seen["in_flight"] == 60
        assert wait_until(lambda: drill.session.snapshot()["per_s"] == 0, 30)
    wait_whole(Connection(kafka_lab.endpoint), [1, 2, 3], 90)
    drill.wait_acked(200)
    drill.finish()

    history = drill.history
    failed = history.writes.select(history.writes.outcome == Outcome.FAILED)
    assert len(failed) > 100
    assert set(np.diff(np.sort(history.writes.invoked_ns))) == {5_000_000}
    assert np.median(failed.completed_ns - failed.invoked_ns) < 100_000_000
    judged = judge(history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["recovered"]) == (0, 0)


def test_what_brokers_refuse_is_recorded_as_failed(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill()
    drill.wait_acked(50)
    _set_topic(kafka_lab.endpoint, drill.topic, "max.message.bytes", "60")
    assert wait_until(lambda: drill.session.snapshot()["failed"] > 50, 30), drill.session.snapshot()
    _set_topic(kafka_lab.endpoint, drill.topic, "max.message.bytes", "1000000")
    drill.wait_acked(200)
    result = drill.finish()
    assert (result["findings"]["producer_remakes"], result["unknown"]) == ([], 0)
    judged = judge(drill.history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["recovered"], judged["failed"]) == (0, 0, result["failed"])


def test_a_fatal_producer_error_is_told_and_the_load_goes_on(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    """With a gapless guarantee, a message that a broker refuses is fatal for the producer."""
    drill = start_drill(producer_properties={"enable.gapless.guarantee": True})
    drill.wait_acked(50)
    _set_topic(kafka_lab.endpoint, drill.topic, "max.message.bytes", "60")
    assert wait_until(lambda: drill.session.snapshot()["failed"] > 50, 30), drill.session.snapshot()
    _set_topic(kafka_lab.endpoint, drill.topic, "max.message.bytes", "1000000")
    drill.wait_acked(200)
    result = drill.finish()
    assert "gap-less guarantee" in result["findings"]["producer_remakes"][0]
    assert [check["name"] for check in result["checks"] if not check["ok"]] == ["one producer"]
    history = drill.history
    for stream in range(6):
        seqs = history.writes.seq[history.writes.stream == stream]
        assert sorted(seqs) == list(range(len(seqs)))
    assert judge(history, Limits(), Parameters()).as_dict()["lost"] == 0


def test_a_log_whose_start_moved_is_an_error_and_no_loss(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(partitions=2)
    drill.wait_acked(50)
    _delete_records(kafka_lab.endpoint, drill.topic, 1, 5)
    result = drill.finish()
    check = result["checks"][-1]
    assert (check["name"], check["ok"]) == ("read back", False)
    assert "partition 1" in check["detail"]
    assert "starts at offset 5" in check["detail"]
    assert drill.history.finals == {}
    assert drill.topic in Admin(Connection(kafka_lab.endpoint)).view(10).topics


def test_a_read_back_without_a_leader_is_bounded_and_says_why(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill()
    drill.wait_acked(50)
    with paused(load("kafka").nodes):  # type: ignore[union-attr]
        result = drill.finish(drain_s=1, readback_timeout_s=4)
    wait_whole(Connection(kafka_lab.endpoint), [1, 2, 3], 90)
    check = result["checks"][-1]
    assert (check["name"], check["ok"]) == ("read back", False)
    assert "no Kafka broker answers" in check["detail"]
    assert (drill.history.finals, drill.history.end_ns is None) == ({}, False)


def test_acks_1_without_idempotence(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(acks=1, min_insync_replicas=1, payload_bytes=1000, client="plain")
    drill.wait_acked(100)
    assert all(check["ok"] for check in drill.finish()["checks"])
    assert drill.history.header["acks"] == "1"
    assert judge(drill.history, Limits(), Parameters()).as_dict()["lost"] == 0


def test_without_a_reader_freshness_is_not_measured(start_drill: StartDrill) -> None:
    drill = start_drill(reader=False)
    drill.wait_acked(100)
    assert drill.session.snapshot()["age_s"] is None
    drill.finish()
    assert len(drill.history.reads) == 0


def test_a_reader_without_news_says_so(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill()
    drill.wait_acked(50)
    with paused(load("kafka").nodes):  # type: ignore[union-attr]
        assert wait_until(lambda: (drill.session.snapshot()["since_last_ack_s"] or 0) > 3, 30)
    wait_whole(Connection(kafka_lab.endpoint), [1, 2, 3], 90)
    drill.finish()
    history = drill.history
    for stream in range(6):
        reads = history.reads.select(history.reads.stream == stream)
        assert (reads.seq == NO_SEQ).sum() >= 2
        assert np.diff(np.sort(reads.completed_ns)).max() < 1_600_000_000


def _set_topic(endpoint: str, topic: str, name: str, value: str) -> None:
    from confluent_kafka import admin

    kinds: Any = admin
    client = admin.AdminClient({"bootstrap.servers": endpoint})
    entry = kinds.ConfigEntry(name, value, incremental_operation=kinds.AlterConfigOpType.SET)
    resource = kinds.ConfigResource(kinds.ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in client.incremental_alter_configs([resource]).values():
        future.result(timeout=20)


def _delete_records(endpoint: str, topic: str, partition: int, offset: int) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": endpoint})
    for future in client.delete_records([TopicPartition(topic, partition, offset)]).values():
        future.result(timeout=20)


def refused(start_drill: StartDrill, **more: Any) -> DrillError:
    with pytest.raises(DrillError) as caught:
        start_drill(**more)
    return caught.value


def test_a_wrong_address(start_drill: StartDrill) -> None:
    port = next(port for port in range(20_000, 30_000) if is_free(port))
    error = refused(start_drill, endpoint=f"127.0.0.1:{port}")
    assert isinstance(error, UnavailableError)
    assert error.message.startswith(f"no Kafka broker answers at 127.0.0.1:{port} within 10 s.")
    assert "Connection refused" in error.message
    assert "bootstrap_servers" in error.hint


def test_too_few_brokers(start_drill: StartDrill) -> None:
    error = refused(start_drill, replication_factor=4)
    assert isinstance(error, UsageError)
    assert error.message == "replication_factor is 4, the cluster has 3 brokers."


def test_a_topic_with_other_settings(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    topic = f"test-{uuid.uuid4().hex[:12]}"
    config = {"cleanup.policy": "compact", "min.insync.replicas": "1", "retention.ms": "3600000"}
    Admin(Connection(kafka_lab.endpoint)).create_topic(topic, 3, 1, config, 20)
    error = refused(start_drill, topic=topic)
    assert isinstance(error, UsageError)
    assert error.message == (
        f"the topic {topic} exists with other settings: partitions is 3, not 6; replication_factor is 1, not 3; "
        "cleanup.policy is compact, not delete; retention.ms is 3600000, not -1; min.insync.replicas is 1, not 2."
    )
    assert "name another topic" in error.hint
    assert topic in Admin(Connection(kafka_lab.endpoint)).view(10).topics


def test_a_client_that_speaks_sasl_to_a_listener_without(start_drill: StartDrill) -> None:
    login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    login |= {"sasl.username": "drill", "sasl.password": "s3cret"}
    error = refused(start_drill, properties=login)
    assert isinstance(error, UsageError)
    assert "do not accept who we are" in error.message
    assert "sasl.mechanism" in error.hint
    assert "s3cret" not in str(error)


def test_a_property_that_librdkafka_does_not_know(start_drill: StartDrill) -> None:
    error = refused(start_drill, properties={"sasl.pasword": "s3cret"})
    assert isinstance(error, UsageError)
    assert "sasl.pasword" in error.message
    assert "s3cret" not in str(error)


def test_a_missing_driver_says_how_to_install_it(kafka_lab: Cluster, tmp_path: Path, monkeypatch: Any) -> None:
    broken = tmp_path / "broken" / "confluent_kafka"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError(\"No module named 'confluent_kafka'\")\n")
    monkeypatch.syspath_prepend(str(broken.parent))
    with pytest.raises(UnavailableError) as caught:
        Drill(kafka_lab.endpoint, tmp_path)
    assert caught.value.message == "the Kafka driver is not installed: No module named 'confluent_kafka'."
    assert caught.value.hint == "run pip install 'chaosdrills[kafka]'."
