"""The consumers of a drill: processes on this machine that are the members of its consumer group.

They are written down as the nodes of a cluster called `SERVICE` (`chaosdrills.host.nodes`), owned by the drill's
observer, so that the fault `kill` and its heal serve a consumer as they serve a broker of the lab, from any process. A
node's endpoint is a port on loopback at which the member listens once it owns partitions; the observer keeps it
reserved. The options are ``{"group": ..., "topic": ..., "partitions": ...}``. What a member is told besides, which may
hold secrets, comes over a socket (`chaosdrills.kafka.member`), never from this file, a command line or its environment.
"""

import os
import random
import sys
from pathlib import Path

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import is_alive, stop, this_process, wait_gone, wait_until
from chaosdrills.kafka.client import Connection
from chaosdrills.kafka.groups import GroupAdmin
from chaosdrills.kafka.roles import Chosen

SERVICE = "kafka-consumers"
ROLES = ("member", "random")
CLIENT_ID = "chaosdrills-consumer-"
LEAVE_S = 5.0
SETTLE_S = 30.0
ASK_S = 5.0
POLL_S = 0.2

_ENVIRONMENT = ("PATH", "PYTHONPATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_PREFIXES = ("LC_", "XDG_", "CHAOSDRILLS_", "KRB5", "SSL_CERT_")


def start(group: str, topic: str, partitions: int, address: str, ports: list[int]) -> Cluster:
    """Start a consumer for each of `ports`, which belongs to this process and connects to it at `address`.

    Raises `UnavailableError` if another drill's consumers run on this machine, or one cannot be started.
    """
    folder = nodes.cluster_dir(SERVICE)
    with nodes.changing(SERVICE):
        _end_leftovers()
        members = [_node(number, port, address, folder) for number, port in enumerate(ports, start=1)]
        for member in members:
            Path(member.log).unlink(missing_ok=True)
        options = {"group": group, "topic": topic, "partitions": partitions}
        nodes.save(Cluster(SERVICE, address, members, this_process(), options))
    for member in members:
        nodes.start_node(SERVICE, member.id)
    return running()


def log_folder() -> Path:
    """Where the consumers' logs are."""
    return nodes.cluster_dir(SERVICE)


def running() -> Cluster:
    """The consumers of the drill that runs. Raises `UnavailableError` if there are none."""
    cluster = nodes.load(SERVICE)
    if cluster is None or cluster.owner is None or not is_alive(cluster.owner):
        raise UnavailableError(
            "no drill with consumers runs on this machine.",
            "give the Kafka workload the argument consumers, 1 or more, in the observe control.",
        )
    return cluster


def end() -> None:
    """End the consumers of this process, which let go of their group first if they can. Idempotent."""
    with nodes.changing(SERVICE):
        cluster = nodes.load(SERVICE)
        if cluster is None or cluster.owner != this_process():
            return
        nodes.forget(SERVICE)  # nobody starts one any more
    members = [node.process for node in cluster.nodes if node.process is not None]
    stop(wait_gone(members, LEAVE_S), grace_s=0)


def choose(role: str, partition: int, seed: int, connection: Connection) -> Chosen:
    """The consumer that `role` means now: ``member`` is the one that owns `partition`, ``random`` is drawn by `seed`.

    Waits (30 s) for an owner while the group rebalances. Raises `DrillError` if there is none.
    """
    cluster = running()
    if role == "random":
        alive = sorted(node.id for node in cluster.nodes if node.alive)
        if not alive:
            raise UnavailableError("no consumer of the drill runs.", "heal what was done to them first.")
        seed = seed or random.SystemRandom().randrange(1, 1_000_000)
        number = random.Random(seed).choice(alive)
        return Chosen(number, f"consumer {number} (at random, seed {seed})")
    if role != "member":
        raise UsageError(f"there is no role {role!r} among consumers.", f"choose one of {', '.join(ROLES)}.")
    number = _owner(cluster, partition, connection)
    return Chosen(number, f"consumer {number} (owner of {cluster.options['topic']}/{partition})")


def _owner(cluster: Cluster, partition: int, connection: Connection) -> int:
    group, topic, partitions = (cluster.options[name] for name in ("group", "topic", "partitions"))
    if not 0 <= partition < partitions:
        raise UsageError(f"{topic} has no partition {partition}.", f"use 0 to {partitions - 1}.")
    admin = GroupAdmin(connection)
    owners: list[str] = []

    def found() -> bool:
        try:
            members = admin.members(group, ASK_S)
        except UnavailableError:
            return False
        owners.extend(member.client_id for member in members if (topic, partition) in member.owns)
        return bool(owners)

    if not wait_until(found, SETTLE_S, POLL_S):
        raise UnavailableError(
            f"no member of the group {group} owns {topic}/{partition}, {SETTLE_S:g} s long.", "look at observer.log."
        )
    return int(owners[0].removeprefix(CLIENT_ID))


def _node(number: int, port: int, address: str, folder: Path) -> Node:
    argv = [sys.executable, "-P", "-m", "chaosdrills.kafka.member", address, str(number)]
    log = str(folder / f"consumer-{number}.log")
    return Node(number, f"127.0.0.1:{port}", argv, _environment(), "/", log, str(folder))


def _environment() -> dict[str, str]:
    """What a consumer needs of this process's environment, of which the rest may hold secrets."""
    return {name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith(_PREFIXES)}


def _end_leftovers() -> None:
    """End what an observer that was killed has left. Raises `UnavailableError` if its owner lives."""
    cluster = nodes.load(SERVICE)
    if cluster is None:
        return
    if cluster.owner is not None and is_alive(cluster.owner):
        raise UnavailableError(
            f"another drill's consumers run on this machine; they belong to process {cluster.owner.pid}.",
            "wait for its end.",
        )
    stop([node.process for node in cluster.nodes if node.process is not None], grace_s=0)
