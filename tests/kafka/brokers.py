"""What the tests of faults on real brokers share."""

import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaosdrills.faults import lock, marking
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.host.nodes import Cluster, Node, load
from chaosdrills.host.processes import send_signal, wait_until
from chaosdrills.kafka.actions import wait_whole
from chaosdrills.kafka.client import Admin, Connection


def new_topic(lab: Cluster, partitions: int = 1, **config: str) -> str:
    """A topic of its own on all three brokers, each of which knows that all partitions have leaders and are in sync."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    admin = Admin(Connection(lab.endpoint))
    admin.create_topic(name, partitions, 3, config, 30)

    def known_to(node: Node) -> bool:
        found = Admin(Connection(node.endpoint)).view(5).topics.get(name, ())
        return len(found) == partitions and all(it.leader and len(it.in_sync) == 3 for it in found)

    ready = wait_until(lambda: all(known_to(node) for node in lab.nodes), 30, 0.1)
    assert ready, f"{name} is not in sync on all brokers, or not known to all"
    return name


def settings(lab: Cluster, topic: str = "") -> dict[str, str]:
    """The configuration of an experiment on the lab."""
    return {"kafka_bootstrap_servers": lab.endpoint, "kafka_topic": topic}


def make_whole(lab: Cluster) -> None:
    """What every test leaves behind: no marker, no lock, no outstanding fault, three brokers in sync."""
    marking.set_marker(None)
    healing = heal_outstanding()
    lock.release()
    healing.demand()
    wait_whole(90, configuration=settings(lab))


@contextmanager
def paused(nodes: list[Node]) -> Iterator[None]:
    """Pause brokers (SIGSTOP), and have them go on afterwards."""
    for node in nodes:
        assert node.process is not None
        send_signal(node.process, signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            assert node.process is not None
            send_signal(node.process, signal.SIGCONT)


def last_controller(lab: Cluster) -> int:
    """The node that became active controller last, by the brokers' own logs."""
    found = []
    for node in lab.nodes:
        log = Path(node.log).read_text(errors="replace")
        for epoch in re.findall(r"Becoming the active controller at epoch (\d+)", log):
            found.append((int(epoch), node.id))
    assert found, "no broker's log says that it became the active controller"
    return max(found)[1]


def elsewhere(lab: Cluster, topic: str = "") -> dict[str, str]:
    """The configuration of an experiment on the same brokers under another name: a cluster that is not the lab."""
    return {"kafka_bootstrap_servers": lab.endpoint.replace("127.0.0.1", "localhost"), "kafka_topic": topic}


def leader_of(lab: Cluster, topic: str, partition: int = 0) -> int | None:
    """Which broker leads it now, by metadata."""
    return Admin(Connection(lab.endpoint)).view(5).topics[topic][partition].leader


def listening(lab: Cluster) -> set[int]:
    """Which brokers accept a connection, as a client sees it."""
    found = set()
    for node in lab.nodes:
        host, port = node.endpoint.split(":")
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=2):
            found.add(node.id)
    return found


def running(lab: Cluster) -> set[int]:
    """Which brokers have a living process, as is written down now."""
    cluster = load(lab.service)
    assert cluster is not None
    return {node.id for node in cluster.nodes if node.alive}


def run_heal(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`chaosdrills heal`, run in `folder`."""
    code = "from chaosdrills.cli.main import main; main()"
    argv = [sys.executable, "-c", code, "heal", *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
