"""Brokers cut off from all, from their peers, from their clients, and slow ones: what the cluster and its clients see.

On labs of three brokers, one for each kind of network that can do it here, with a session timeout of 3 s.
"""

import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chaoslib.exceptions import ActivityFailed
from confluent_kafka import Message

from chaosdrills.core.history import NS, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host import packet_filter
from chaosdrills.host.nodes import Cluster, Node, load
from chaosdrills.host.processes import this_process, wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.kafka.actions import heal_brokers, isolate_broker, slow_broker, wait_whole
from chaosdrills.kafka.client import Admin, Connection, KafkaError, Trouble, new_producer
from chaosdrills.lab import kafka_wire, lifecycle
from chaosdrills.lab.status import status
from tests.conftest import OFFSETS, free_base_port
from tests.faults.networks import FILTERED
from tests.kafka.brokers import make_whole, new_topic, settings
from tests.kafka.conftest import Drill

pytestmark = pytest.mark.lab

SESSION_S = 3
QUICK = {"broker.session.timeout.ms": SESSION_S * 1000, "broker.heartbeat.interval.ms": 500}
INJECTOR = """
import json, sys
from chaosdrills.kafka.actions import isolate_broker
arguments, configuration = json.loads(sys.argv[1])
print(isolate_broker(**arguments, configuration=configuration)["what"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", params=[FILTERED, "proxied"])
def own_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp(f"state-{request.param}")))
        options = {"base_port": free_base_port(OFFSETS), "settings": QUICK, "network": request.param}
        yield lifecycle.up("kafka", options, owner=this_process())
        assert lifecycle.down("kafka")
        assert not packet_filter.clear("kafka"), "a cut was left behind"


@pytest.fixture
def lab(own_lab: Cluster) -> Iterator[Cluster]:
    yield own_lab
    make_whole(own_lab)


@pytest.fixture
def drill(lab: Cluster, tmp_path: Path) -> Iterator[Drill]:
    """Writes to one partition all the time."""
    running = Drill(lab.endpoint, tmp_path, partitions=1, rate_per_s=100)
    yield running
    running.session.close()


def leader_of(lab: Cluster, topic: str, others_than: int = 0) -> int | None:
    """Who leads partition 0, by the brokers other than this one."""
    endpoint = ",".join(node.endpoint for node in lab.nodes if node.id != others_than)
    return Admin(Connection(endpoint)).view(10).topics[topic][0].leader


def clean_s(drill: Drill) -> float:
    return float(drill.session.snapshot()["clean_s"])


def host_port(node: Node) -> tuple[str, int]:
    host, port = node.endpoint.split(":")
    return host, int(port)


def drills(*arguments: str, status: int = 0) -> str:
    """What `chaosdrills` prints."""
    code = "from chaosdrills.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def inject_and_die(lab: Cluster, topic: str, **arguments: Any) -> str:
    """Isolate from a process that is then killed, as `chaos` may be; what was hit."""
    argv = [sys.executable, "-c", INJECTOR, json.dumps([arguments, settings(lab, topic)])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as injector:
        assert injector.stdout is not None
        what = injector.stdout.readline().strip()
        injector.kill()
    return what


def test_an_isolated_leader_serves_nobody_another_leads_and_after_the_heal_nothing_is_lost(
    lab: Cluster, drill: Drill
) -> None:
    assert wait_until(lambda: clean_s(drill) > 3, 60), "no clean baseline"
    leader = leader_of(lab, drill.topic)
    assert leader is not None
    node = lab.node(leader)
    what = f"isolation of broker {leader} (leader of {drill.topic}/0)"
    with socket.create_connection(host_port(node), 60) as established:
        ask(established)
        assert answer(established) == {1, 2, 3}
        assert inject_and_die(lab, drill.topic, role="leader") == what
        ask(established)
        established.settimeout(1)
        with pytest.raises(TimeoutError):
            answer(established)
        assert not accepts(node.endpoint, 1)
        assert wait_until(lambda: leader_of(lab, drill.topic, leader) not in (None, leader), 60), "no other leader"
        assert wait_until(lambda: clean_s(drill) > 4, 60), drill.session.snapshot()
        assert node.alive
        assert load("kafka") == lab, "a process was touched"
        assert status("kafka")["in_force"][0]["node"] == leader
        shown = drills("lab", "status")
        assert re.search(rf"  network: {lab.network}.*\n  in force: node {leader} is cut off from all\n", shown), shown

        assert drills("heal") == f"healed: {what}\n"
        established.settimeout(60)
        assert answer(established) == {1, 2, 3}
    assert drills("heal") == "Nothing to heal.\n"
    wait_whole(90, configuration=settings(lab, drill.topic))
    assert status("kafka")["in_force"] == []
    assert all(check["ok"] for check in drill.finish()["checks"])
    judged = judge(drill.history, Limits()).as_dict()
    assert (judged["lost"], judged["unexpected"]) == (0, 0)


def test_cut_off_from_its_peers_a_leader_is_fenced_and_confirms_to_its_clients_what_will_be_lost(lab: Cluster) -> None:
    topic = new_topic(lab, **{"min.insync.replicas": "2"})
    leader = leader_of(lab, topic)
    assert leader is not None
    safe, unsafe = producer(lab, "all"), producer(lab, "1")
    assert (write(safe, topic, b"before"), write(unsafe, topic, b"before")) == (None, None)
    hit = isolate_broker("leader", topic, scope="peers", configuration=settings(lab))
    assert hit["what"] == f"isolation of broker {leader} (leader of {topic}/0) from its peers"
    assert write(unsafe, topic, b"lost") is None, "clients do not reach it"
    refused = write(safe, topic, b"never confirmed")
    assert refused is not None
    assert refused.code() == KafkaError._MSG_TIMED_OUT
    assert leader in kafka_wire.unfenced_brokers(*host_port(lab.node(leader)))
    assert wait_until(lambda: leader_of(lab, topic, leader) not in (None, leader), 60), "it was not fenced"
    assert write(producer(lab, "all", leader, 60), topic, b"after") is None
    assert heal_brokers(configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    wait_whole(90, configuration=settings(lab, topic))
    assert {b"before", b"after"} <= values(lab, topic)
    assert b"lost" not in values(lab, topic)


def test_cut_off_from_its_clients_a_leader_stays_and_they_are_out_until_the_heal(lab: Cluster, drill: Drill) -> None:
    assert wait_until(lambda: clean_s(drill) > 3, 60), "no clean baseline"
    leader = leader_of(lab, drill.topic)
    assert leader is not None
    isolate_broker("id", broker_id=leader, scope="clients", configuration=settings(lab))
    begun, acked = time.monotonic(), drill.session.snapshot()["acked"]
    assert wait_until(lambda: time.monotonic() - begun > 3 * SESSION_S, 60)
    out_s = time.monotonic() - begun
    assert drill.session.snapshot()["acked"] <= acked + 100, "somebody confirms its clients' writes"
    assert leader_of(lab, drill.topic, leader) == leader, "another was elected"
    in_sync = Admin(Connection(lab.node(leader % 3 + 1).endpoint)).view(10).topics[drill.topic][0].in_sync
    assert set(in_sync) == {1, 2, 3}
    assert heal_brokers(configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert wait_until(lambda: clean_s(drill) > 2, 60), drill.session.snapshot()
    assert all(check["ok"] for check in drill.finish()["checks"])
    writes = drill.history.writes
    completed = np.sort(writes.completed_ns[writes.outcome == Outcome.OK])
    assert np.diff(completed).max() / NS >= out_s - 1
    assert judge(drill.history, Limits()).as_dict()["lost"] == 0


def test_a_slow_broker_answers_later_by_the_latency_each_way(lab: Cluster) -> None:
    if lab.network == "filtered":
        with pytest.raises(ActivityFailed, match="lab up kafka --network proxied"):
            slow_broker("id", broker_id=2, configuration=settings(lab))
        assert outstanding() == ([], [])
        return
    topic = new_topic(lab)
    leader = leader_of(lab, topic)
    assert leader is not None
    hit = slow_broker("leader", topic, latency_ms=400, scope="clients", configuration=settings(lab))
    assert hit["what"] == (
        f"slow network of broker {leader} (leader of {topic}/0): 400 ms each way between it and its clients"
    )
    assert asked_s(lab.node(leader)) >= 0.8
    assert "slowed by 400 ms each way, for clients" in drills("lab", "status")
    assert heal_brokers(configuration=settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert wait_until(lambda: asked_s(lab.node(leader)) < 0.8, 30), "it is still slow"


def test_a_lab_that_is_found_is_mended(lab: Cluster) -> None:
    inject_and_die(lab, "", role="id", broker_id=3, scope="peers")
    said: list[str] = []
    found = lifecycle.up("kafka", {"network": "isolable", "settings": QUICK}, this_process(), said.append)
    assert found.nodes == lab.nodes
    assert said[0].startswith("mended the network of the kafka lab")
    assert status("kafka")["in_force"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="every test here runs without root already")
def test_without_root_brokers_are_isolated_behind_the_proxy(tmp_path: Path) -> None:
    """In a user namespace of its own, where even root's processes have no rights over the network."""
    argv = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "isolated_leader", f"--basetemp={tmp_path / 'inner'}"]
    done = subprocess.run(["unshare", "--user", *argv], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "1 passed, 1 skipped" in done.stdout
    assert "NO PACKET FILTER HERE: it needs root" in done.stdout


def ask(connection: socket.socket) -> None:
    """Ask for the brokers that a broker knows."""
    connection.sendall(struct.pack(">i", len(kafka_wire.DESCRIBE_CLUSTER)) + kafka_wire.DESCRIBE_CLUSTER)


def answer(connection: socket.socket) -> set[int]:
    """The answer to that."""
    (length,) = struct.unpack(">i", kafka_wire._receive(connection, 4))
    return kafka_wire._parse_cluster(io.BytesIO(kafka_wire._receive(connection, length)))


def asked_s(node: Node) -> float:
    """How long a request takes."""
    begun = time.monotonic()
    kafka_wire.unfenced_brokers(*host_port(node), timeout_s=30)
    return time.monotonic() - begun


def producer(lab: Cluster, acks: str, other_than: int = 0, timeout_s: float = 2) -> Any:
    """A producer that gives a message up after `timeout_s`."""
    endpoint = ",".join(node.endpoint for node in lab.nodes if node.id != other_than)
    more = {"acks": acks, "message.timeout.ms": int(timeout_s * 1000), "linger.ms": 0}
    return new_producer(Connection(endpoint, client="plain"), Trouble(), more)


def write(client: Any, topic: str, value: bytes) -> KafkaError | None:
    """Why `value` was not confirmed; None if it was."""
    outcomes: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        outcomes.append(error)

    client.produce(topic, value, partition=0, on_delivery=delivered)
    client.flush(90)
    (outcome,) = outcomes
    return outcome


def values(lab: Cluster, topic: str) -> set[bytes | None]:
    """All that is in partition 0 now."""
    from confluent_kafka import Consumer, TopicPartition

    names = {"bootstrap.servers": lab.endpoint, "group.id": str(uuid.uuid4()), "auto.offset.reset": "error"}
    consumer = Consumer(names)
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes | None] = []
    assert wait_until(lambda: _read(consumer, found) >= end, 60), f"{len(found)} of {end} read"
    consumer.close()
    return set(found)


def _read(consumer: Any, found: list[bytes | None]) -> int:
    message = consumer.poll(1)
    if message is not None and message.error() is None:
        found.append(message.value())
    return len(found)
