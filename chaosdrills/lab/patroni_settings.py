"""What Patroni is told: one file a node, as JSON, which is YAML.

The file holds passwords, so nobody else may read it. Patroni takes what is in ``bootstrap`` from the first node that
comes up, writes it to etcd, and takes it from there afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaosdrills.host.scopes import REST, SQL
from chaosdrills.host.sockets import LOOPBACK

SCOPE = "drills"
SUPERUSER, REPLICATOR, REST_USER = "postgres", "replicator", "drill"

# How fast a failure is noticed: Patroni's least ttl and retry_timeout, so that a lost primary is replaced in 20 s.
DYNAMIC: Mapping[str, Any] = {
    "ttl": 20,
    "loop_wait": 2,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 1_048_576,
    "synchronous_mode": True,
}
# What a lab needs beyond PostgreSQL's defaults: no sockets in folders of the system, no shared memory in /dev/shm (what
# a killed server has there stays, and only its next start would remove it), what pg_rewind wants, and a replica that
# asks again soon: its slot is made a moment after its first attempt, and the default is to wait 5 s then.
PARAMETERS: Mapping[str, Any] = {
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
    "wal_level": "replica",
    "wal_log_hints": "on",
    "shared_buffers": "32MB",
    "max_connections": 100,
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "wal_retrieve_retry_interval": "500ms",
    "log_line_prefix": "%m [%p] %q%a ",
}
OWNED = frozenset(
    {"unix_socket_directories", "dynamic_shared_memory_type", "port", "listen_addresses", "wal_level", "hot_standby"}
)
"""Parameters that are the lab's, or Patroni's."""


@dataclass(frozen=True)
class Passwords:
    """Made for one lab, and gone with it."""

    superuser: str
    replicator: str
    drill: str
    rest: str
    application: str


@dataclass(frozen=True)
class Place:
    """What one node has to itself: its name, the ports at which others reach it, its own, and folders."""

    name: str
    public: Mapping[str, int]
    own: Mapping[str, int]
    data: Path
    pgpass: Path


def settings(
    place: Place,
    etcd_port: int,
    bindir: Path,
    passwords: Passwords,
    post_init: str,
    parameters: Mapping[str, Any],
    dynamic: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that Patroni is told for one node; `parameters` are PostgreSQL's, `dynamic` Patroni's own."""
    address, rest = (f"{LOOPBACK}:{place.public[who]}" for who in (SQL, REST))
    return {
        "scope": SCOPE,
        "name": place.name,
        "restapi": {
            "listen": f"{LOOPBACK}:{place.own[REST]}",
            "connect_address": rest,
            "authentication": {"username": REST_USER, "password": passwords.rest},
        },
        "etcd3": {"host": f"{LOOPBACK}:{etcd_port}"},
        "bootstrap": {
            "dcs": {
                **dynamic,
                "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": {**PARAMETERS, **parameters}},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"],
            "post_init": post_init,
        },
        "postgresql": {
            "listen": f"{LOOPBACK}:{place.own[SQL]}",
            "connect_address": address,
            "data_dir": str(place.data),
            "bin_dir": str(bindir),
            "pgpass": str(place.pgpass),
            "pg_hba": _access(),
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "authentication": {
                "superuser": {"username": SUPERUSER, "password": passwords.superuser},
                "replication": {"username": REPLICATOR, "password": passwords.replicator},
            },
        },
        "watchdog": {"mode": "off"},
    }


def _access() -> list[str]:
    """pg_hba.conf: with a password from this machine, and from nowhere else."""
    return [f"host {which} all {LOOPBACK}/32 scram-sha-256" for which in ("all", "replication")]
