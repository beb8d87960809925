"""Where a storm can rage, one ground a service: its nodes, what can be done to them, its load, and when it is whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import node_target
from chaosdrills.faults.registry import FAULTS
from chaosdrills.host.network import PLAIN
from chaosdrills.host.nodes import Cluster, load
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import kafka, redis, redis_listeners, timescaledb

NETWORK_KINDS = ("isolate",)  # those that need a lab whose network can be cut
WHOLE_S = 180.0
SERVER_S = 60.0  # Patroni may just restart a server that nobody hurts


@dataclass(frozen=True)
class Ground:
    """What a storm needs to know of a service.

    `noun` is what a node is called; `process_kinds` are faults that hit a node's process, on any lab, `spread` is the
    workload's argument of how many streams there are, by default `streams`. `arguments` are those of the workload
    besides, and `whole` waits until the cluster is, and says how it is.
    """

    service: str
    noun: str
    nodes: tuple[int, ...]
    process_kinds: tuple[str, ...]
    workload: str
    spread: str
    streams: int
    arguments: Callable[[Cluster], dict[str, Any]]
    whole: Callable[[Cluster], str]

    def kinds(self, network: str = "") -> tuple[str, ...]:
        """The kinds of faults that this version can do in a storm on a lab with that option `network`."""
        wanted = self.process_kinds + (() if network in ("", PLAIN) else NETWORK_KINDS)
        return tuple(kind for kind in wanted if kind in FAULTS)

    def target(self, kind: str, node_id: int) -> Target:
        """The node as it runs now. Raises `UnavailableError` if it does not: nobody asked it to end."""
        cluster, label = load(self.service), f"{self.noun} {node_id}"
        if cluster is None or not cluster.node(node_id).alive:
            raise UnavailableError(f"{label} does not run though nobody hurt it.", "read its log.")
        if kind in NETWORK_KINDS:
            made: Target = _maker(kind)(cluster, node_id, label, "id")
            return made
        wait_until(lambda: cluster.node(node_id).server is not None, SERVER_S)
        return node_target(cluster, node_id, label, "id")


def _maker(kind: str) -> Callable[..., Target]:
    """What makes the targets of a fault that hits a node's network."""
    maker: Callable[..., Target] = getattr(import_module(f"chaosdrills.faults.{kind}"), f"{kind}_target")
    return maker


def _kafka_whole(cluster: Cluster) -> str:
    from chaosdrills.kafka.client import Connection
    from chaosdrills.kafka.health import wait_whole

    found = wait_whole(Connection(cluster.endpoint), [node.id for node in cluster.nodes], WHOLE_S)
    return f"{found.brokers} brokers, every replica in sync"


def _timescaledb_whole(cluster: Cluster) -> str:
    from chaosdrills.timescaledb import health
    from chaosdrills.timescaledb.way import way_of

    found = health.wait_whole(way_of(timescaledb.configuration(cluster), {}), WHOLE_S)
    return f"{len(found.servers)} servers, {len(found.synchronous)} synchronous standby"


def _timescaledb_arguments(cluster: Cluster) -> dict[str, Any]:
    return {"dsn": timescaledb.configuration(cluster)[timescaledb.ENDPOINT_KEY]}


def _redis_whole(cluster: Cluster) -> str:
    from chaosdrills.redis import health
    from chaosdrills.redis.way import way_of

    found = health.wait_whole(way_of(redis.configuration(cluster), {}), WHOLE_S)
    return f"{len(found.servers)} servers, {len(found.replicas)} replicas in step, {len(found.sentinels)} sentinels"


def _redis_arguments(cluster: Cluster) -> dict[str, Any]:
    """A write counts where both replicas have it: who of them leads next then has it, too."""
    return {"url": redis.configuration(cluster)[redis.ENDPOINT_KEY], "acknowledgement": "WAIT 2"}


KAFKA = Ground(
    service=kafka.SERVICE,
    noun="broker",
    nodes=tuple(kafka.NODES),
    process_kinds=("kill", "stop", "pause"),
    workload="chaosdrills.kafka.workload:KafkaWorkload",
    spread="partitions",
    streams=6,
    arguments=lambda cluster: {"bootstrap_servers": cluster.endpoint},
    whole=_kafka_whole,
)
TIMESCALEDB = Ground(
    service=timescaledb.SERVICE,
    noun="node",
    nodes=timescaledb.SERVERS,
    process_kinds=("kill", "pause"),
    workload="chaosdrills.timescaledb.workload:TimescaleDBWorkload",
    spread="connections",
    streams=8,
    arguments=_timescaledb_arguments,
    whole=_timescaledb_whole,
)
REDIS = Ground(
    service=redis.SERVICE,
    noun="node",
    nodes=redis_listeners.SERVERS,
    process_kinds=("kill", "stop", "pause"),
    workload="chaosdrills.redis.workload:RedisWorkload",
    spread="connections",
    streams=8,
    arguments=_redis_arguments,
    whole=_redis_whole,
)
GROUNDS: Mapping[str, Ground] = {ground.service: ground for ground in (KAFKA, TIMESCALEDB, REDIS)}
