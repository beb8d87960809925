"""Three real brokers: up, found again, hurt, healed, and ended, from Python."""

import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import identify, send_signal, this_process, wait_until
from chaosdrills.lab import kafka, lifecycle, supervision
from chaosdrills.lab.status import status
from tests.conftest import free_base_port

pytestmark = pytest.mark.lab

OWNED = (
    "import sys, signal; from chaosdrills.host.processes import this_process; from chaosdrills.lab import lifecycle; "
    "lifecycle.up('kafka', {'base_port': int(sys.argv[1])}, owner=this_process()); print('up', flush=True); "
    "signal.pause()"
)


def node_of(cluster: Cluster, node_id: int) -> Node:
    """A node of the cluster as it is written down now."""
    now = nodes.load(cluster.service)
    assert now is not None
    return now.node(node_id)


def wait_whole(cluster: Cluster) -> None:
    """Wait until every broker sees every broker again."""
    assert wait_until(lambda: not kafka.awaited(cluster), 60, 0.2), f"still awaited: {kafka.awaited(cluster)}"


def test_a_topic_on_all_three_can_be_made_and_written_at_once(kafka_lab: Cluster) -> None:
    from confluent_kafka import KafkaError, Message, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    topic, outcomes = f"lab-{uuid.uuid4()}", list[KafkaError | None]()

    def delivered(error: KafkaError | None, _: Message) -> None:
        outcomes.append(error)

    admin = AdminClient({"bootstrap.servers": kafka_lab.endpoint})
    admin.create_topics([NewTopic(topic, 3, 3, config={"min.insync.replicas": "3"})])[topic].result(10)
    producer = Producer({"bootstrap.servers": kafka_lab.endpoint, "acks": "all", "enable.idempotence": True})
    producer.produce(topic, b"x", on_delivery=delivered)
    assert producer.flush(10) == 0
    assert outcomes == [None]


def test_a_topic_is_never_made_by_accident(kafka_lab: Cluster) -> None:
    from confluent_kafka.admin import AdminClient

    name = f"lab-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": kafka_lab.endpoint})
    admin.list_topics(name, timeout=5)
    assert name not in admin.list_topics(timeout=5).topics


def test_status_shows_every_node(kafka_lab: Cluster) -> None:
    shown = status("kafka")
    assert (shown["state"], shown["endpoint"]) == ("running", kafka_lab.endpoint)
    assert shown["owner_pid"] == this_process().pid
    for node, seen in zip(kafka_lab.nodes, shown["nodes"], strict=True):
        assert node.process is not None
        assert (seen["id"], seen["state"], seen["pid"]) == (node.id, "running", node.process.pid)
        assert 30 < seen["memory_mib"] < 400
        assert Path(seen["log"]).is_file()
        assert (Path(seen["data_dir"]) / "__cluster_metadata-0").is_dir()


def test_a_second_up_finds_the_first(kafka_lab: Cluster) -> None:
    lines: list[str] = []
    assert lifecycle.up("kafka", owner=this_process(), progress=lines.append) == kafka_lab
    assert lifecycle.up("kafka", kafka_lab.options, owner=this_process()) == kafka_lab
    assert lines == ["found the kafka lab that runs"]


def test_an_up_with_other_options_is_refused(kafka_lab: Cluster) -> None:
    for options, why in (
        ({"base_port": 1234}, r"another base_port: \d+, not 1234"),
        ({"settings": {"num.io.threads": 2}}, r"another settings: {}, not {'num.io.threads': '2'}"),
    ):
        with pytest.raises(UsageError, match=why) as caught:
            lifecycle.up("kafka", options, owner=this_process())
        assert "lab down kafka" in caught.value.hint


def test_a_lab_that_belongs_to_a_living_process_is_not_taken(kafka_lab: Cluster) -> None:
    with pytest.raises(UnavailableError, match=f"belongs to process {this_process().pid} and ends with it"):
        lifecycle.up("kafka")


def test_an_aot_cache_is_never_made_beside_a_running_lab(kafka_lab: Cluster, own_cache: Path) -> None:
    with pytest.raises(UnavailableError, match="never made beside a running lab"):
        lifecycle.prepare("kafka")
    assert supervision.living("kafka-training") == []


def test_a_killed_node_is_seen_and_can_be_started_again(kafka_lab: Cluster) -> None:
    node = kafka_lab.nodes[1]
    assert node.process is not None
    send_signal(node.process, signal.SIGKILL)
    assert wait_until(lambda: status("kafka")["state"] == "damaged", 10), status("kafka")
    assert [seen["state"] for seen in status("kafka")["nodes"]] == ["running", "dead", "running"]

    assert nodes.start_node("kafka", node.id)
    wait_whole(kafka_lab)
    assert status("kafka")["state"] == "running"
    node.process = node_of(kafka_lab, node.id).process


def test_a_paused_node_is_seen(kafka_lab: Cluster) -> None:
    paused = node_of(kafka_lab, 3).process
    assert paused is not None
    send_signal(paused, signal.SIGSTOP)
    try:
        assert wait_until(lambda: status("kafka")["nodes"][2]["state"] == "paused", 10), status("kafka")
        assert status("kafka")["state"] == "damaged"
    finally:
        send_signal(paused, signal.SIGCONT)
    wait_whole(kafka_lab)


def test_brokers_have_the_settings_they_were_given(own_state: Path) -> None:
    from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

    settings = {"replica.fetch.wait.max.ms": 400, "broker.session.timeout.ms": 8000}
    options = {"base_port": free_base_port(), "settings": settings}
    cluster = lifecycle.up("kafka", options, owner=this_process())
    try:
        admin = AdminClient({"bootstrap.servers": cluster.endpoint})
        broker = ConfigResource(ResourceType.BROKER, "2")
        found = admin.describe_configs([broker])[broker].result(10)
        assert found["replica.fetch.wait.max.ms"].value == "400"
        assert found["broker.session.timeout.ms"].value == "8000"
        assert found["log.retention.ms"].value == "-1"
        assert found["auto.create.topics.enable"].value == "false"
    finally:
        assert lifecycle.down("kafka")


def test_a_half_dead_lab_is_cleaned_up_by_the_next_up(own_state: Path) -> None:
    options, lines = {"base_port": free_base_port()}, list[str]()
    first = lifecycle.up("kafka", options)
    dead = first.nodes[0].process
    assert dead is not None
    send_signal(dead, signal.SIGKILL)
    second = lifecycle.up("kafka", options, progress=lines.append)
    try:
        assert lines[0] == "ended what was left of a kafka lab"
        assert not any(node.alive for node in first.nodes)
        assert all(node.alive for node in second.nodes)
    finally:
        assert lifecycle.down("kafka")
    assert not lifecycle.down("kafka")
    assert status("kafka") == {"service": "kafka", "state": "down", "endpoint": None, "options": {}, "nodes": []}


def test_a_bad_setting_ends_the_start_and_leaves_nothing(own_state: Path) -> None:
    options = {"base_port": free_base_port(), "settings": {"log.cleanup.policy": "burn"}}
    with pytest.raises(UnavailableError, match="ended while it started") as caught:
        lifecycle.up("kafka", options)
    assert "log.cleanup.policy" in caught.value.message
    assert supervision.living("kafka") == []
    assert nodes.load("kafka") is None


def test_a_folder_that_cannot_be_written_ends_the_start(own_state: Path) -> None:
    in_the_way = nodes.cluster_dir("kafka") / "node-2"
    in_the_way.write_text("a file")
    with pytest.raises(UnavailableError, match=r"cannot write the kafka lab's files: .*node-2") as caught:
        lifecycle.up("kafka", {"base_port": free_base_port()})
    assert str(in_the_way.parent) in caught.value.hint
    assert nodes.load("kafka") is None


def test_a_start_that_takes_too_long_leaves_nothing(own_state: Path) -> None:
    with pytest.raises(UnavailableError, match=r"did not start in 0\.2 s; it waited for an answer of broker 1"):
        lifecycle.up("kafka", {"base_port": free_base_port()}, timeout_s=0.2)
    assert supervision.living("kafka") == []
    assert nodes.load("kafka") is None


def test_a_taken_port_is_named_with_its_holder(own_state: Path) -> None:
    base_port = free_base_port()
    listening = (
        "import socket, sys, signal; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{listening}; signal.pause()", str(base_port + 101)], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UnavailableError, match=f"port {base_port + 101} .* is taken by process {holder.pid} ") as e:
            lifecycle.up("kafka", {"base_port": base_port})
        assert "--base-port" in e.value.hint
        assert supervision.living("kafka") == []
    finally:
        holder.kill()
        holder.communicate()


def start_owned(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", OWNED, *arguments], stdout=subprocess.PIPE, text=True)


def all_gone() -> bool:
    return not supervision.living("kafka") and nodes.load("kafka") is None


def test_when_its_owner_is_killed_the_lab_ends(own_state: Path) -> None:
    with start_owned(str(free_base_port())) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "up\n"
            cluster = nodes.load("kafka")
            assert cluster is not None
            assert cluster.owner == identify(owner.pid)
            assert len(supervision.living("kafka")) == 4
        finally:
            owner.kill()
    assert wait_until(all_gone, 20), f"left: {supervision.living('kafka')}"


def test_when_who_starts_it_is_killed_in_the_middle_the_lab_ends(own_state: Path) -> None:
    with start_owned(str(free_base_port())) as owner:
        try:
            assert wait_until(lambda: len(supervision.living("kafka")) == 4, 60), "the nodes were not started"
        finally:
            owner.kill()
    assert wait_until(all_gone, 20), f"left: {supervision.living('kafka')}"


def test_no_secret_of_the_users_environment_is_written_down(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "hunter2")
    options = kafka.normalise({"base_port": free_base_port()})
    cluster = kafka.build(options, lambda _: None)
    nodes.save(cluster)
    text = (nodes.cluster_dir("kafka") / "lab.json").read_text()
    assert "hunter2" not in text
    assert sorted(json.loads(text)["nodes"][0]["env"]) == ["CHAOSDRILLS_LAB", "CLASSPATH", "LC_ALL"]
