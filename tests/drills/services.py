"""The services that whole drills are run on: what their main drill calls its steps, and how their labs are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
from confluent_kafka.admin import AdminClient

from chaosdrills.host.nodes import Cluster
from chaosdrills.kafka import health as kafka_health
from chaosdrills.kafka.client import Connection
from chaosdrills.lab.lifecycle import service_module
from chaosdrills.redis import health as redis_health
from chaosdrills.redis.finding import PRIMARY
from chaosdrills.redis.way import way_of as redis_way_of
from chaosdrills.timescaledb import health as timescaledb_health
from chaosdrills.timescaledb.way import way_of
from tests.conftest import PORTS_OF_A_LAB, POSTGRESQL_OFFSETS, REDIS_OFFSETS, free_base_port

QUICK = {"broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500}
WHOLE_S = 90.0


@dataclass(frozen=True)
class Service:
    """One service. `fault`, `heal`, `rollback` and `whole` are its main experiment's actions; `noun` is its node.

    `nobody` are the fault's arguments that name a node that is not there. Of the environment that leads to a lab,
    `wait` waits until that is whole, and `elsewhere` makes one that leads to the same servers by another name: a
    cluster of one's own, as far as a lab fault can know; `made` are the names of what drills have made there, each a
    `keeps`. With the settings `broken` a lab cannot start, which is told with `complaint`. `fill` puts so much of
    others there that a read-back takes a while.
    """

    name: str
    main: str
    fault: str
    heal: str
    rollback: str
    noun: str
    nobody: Mapping[str, Any]
    offsets: tuple[int, ...]
    wait: Callable[[Mapping[str, str]], object] = field(repr=False)
    elsewhere: Callable[[Mapping[str, str]], dict[str, str]] = field(repr=False)
    made: Callable[[Mapping[str, str]], set[str]] = field(repr=False)
    broken: Mapping[str, Any] = field(repr=False)
    complaint: str
    keeps: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    whole: str = "wait until the cluster is whole"
    fill: Callable[[Mapping[str, str]], None] = field(default=lambda way: None, repr=False)

    def options(self) -> dict[str, Any]:
        """Those of a lab of its own on free ports, quick to notice a loss."""
        return {
            "base_port": free_base_port(self.offsets),
            **({"settings": self.settings} if self.settings else {}),
            **self.more,
        }

    def way(self, cluster: Cluster) -> dict[str, str]:
        """The environment that leads an experiment to this lab."""
        return {name.upper(): value for name, value in service_module(self.name).configuration(cluster).items()}

    def __str__(self) -> str:
        return self.name


def _kafka_whole(way: Mapping[str, str]) -> None:
    kafka_health.wait_whole(Connection(way["KAFKA_BOOTSTRAP_SERVERS"]), (1, 2, 3), WHOLE_S)


def _timescaledb_whole(way: Mapping[str, str]) -> None:
    timescaledb_health.wait_whole(way_of({name.lower(): value for name, value in way.items()}, {}), WHOLE_S)


def _redis_whole(way: Mapping[str, str]) -> None:
    redis_health.wait_whole(_redis(way), WHOLE_S)


def _redis(way: Mapping[str, str]) -> Any:
    return redis_way_of({"redis_url": way["REDIS_URL"]}, {})


def _redis_elsewhere(way: Mapping[str, str]) -> dict[str, str]:
    return {"REDIS_URL": way["REDIS_URL"].replace("127.0.0.1", "localhost")}


def _kafka_elsewhere(way: Mapping[str, str]) -> dict[str, str]:
    return {"KAFKA_BOOTSTRAP_SERVERS": way["KAFKA_BOOTSTRAP_SERVERS"].replace("127.0.0.1", "localhost")}


def _timescaledb_elsewhere(way: Mapping[str, str]) -> dict[str, str]:
    """With the password in the environment, for the file has it for 127.0.0.1."""
    dsn, _, passfile = way["TIMESCALEDB_DSN"].partition("?passfile=")
    password = Path(passfile).read_text().splitlines()[0].rpartition(":")[2]
    return {**way, "TIMESCALEDB_DSN": dsn.replace("127.0.0.1", "localhost"), "PGPASSWORD": password}


def _topics(way: Mapping[str, str]) -> set[str]:
    return set(AdminClient({"bootstrap.servers": way["KAFKA_BOOTSTRAP_SERVERS"]}).list_topics(timeout=20).topics)


def _schemas(way: Mapping[str, str]) -> set[str]:
    with psycopg.connect(way["TIMESCALEDB_DSN"], target_session_attrs="read-write") as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chaosdrills%'").fetchall()
    return {row[0] for row in rows}


def _primary(way: Mapping[str, str]) -> "redis.Redis":
    session = _redis(way).find(PRIMARY, 20)
    session.close()
    host, _, port = session.address.rpartition(":")
    return redis.Redis(host, int(port), decode_responses=True)


FOREIGN_KEYS, AT_ONCE = 600_000, 50_000  # a server that is busy for longer is taken for dead
FILL = "for number = ARGV[1], ARGV[2] do redis.call('SET', 'other:' .. number, '') end"


def _redis_filled(way: Mapping[str, str]) -> None:
    if _primary(way).dbsize() < FOREIGN_KEYS:
        for first in range(0, FOREIGN_KEYS, AT_ONCE):
            _primary(way).eval(FILL, 0, first, first + AT_ONCE - 1)


def _keys(way: Mapping[str, str]) -> set[str]:
    """What all keys of each drill begin with, as it is told."""
    names = _primary(way).scan_iter("chaosdrills:*", count=1000)
    return {f"{':'.join(name.split(':')[:2])}:*" for name in names}


KAFKA = Service(
    name="kafka",
    main="kafka-broker-loss.json",
    fault="kill the leader",
    heal="start the broker again",
    rollback="start every killed broker",
    noun="broker",
    nobody={"role": "id", "broker_id": 9},
    offsets=PORTS_OF_A_LAB,
    wait=_kafka_whole,
    elsewhere=_kafka_elsewhere,
    made=_topics,
    broken={"log.cleanup.policy": "burn"},
    complaint="node ",
    keeps="topic",
    settings=QUICK,
)
TIMESCALEDB = Service(
    name="timescaledb",
    main="timescaledb-primary-loss.json",
    fault="kill the primary",
    heal="start the node again",
    rollback="start every killed node",
    noun="node",
    nobody={"role": "id", "node_id": 9},
    offsets=POSTGRESQL_OFFSETS,
    wait=_timescaledb_whole,
    elsewhere=_timescaledb_elsewhere,
    made=_schemas,
    broken={"shared_buffers": "plenty"},
    complaint="PostgreSQL does not take these settings",
    keeps="schema",
)
REDIS = Service(
    name="redis",
    main="redis-primary-loss.json",
    fault="kill the primary",
    heal="start the server again",
    rollback="start every killed node",
    noun="node",
    nobody={"role": "id", "node_id": 9},
    offsets=REDIS_OFFSETS,
    wait=_redis_whole,
    elsewhere=_redis_elsewhere,
    made=_keys,
    broken={"maxmemory": "plenty"},
    complaint="Valkey ",
    keeps="keys",
    whole="wait until the Redis is whole",
    fill=_redis_filled,
    more={"sentinel": {"down-after-milliseconds": 6000}},  # so that there is a middle of a fault to be met
)
SERVICES = (KAFKA, TIMESCALEDB, REDIS)
