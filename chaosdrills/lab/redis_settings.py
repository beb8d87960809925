"""What servers and sentinels of a Redis lab are told: the lines of their files of settings.

Sentinels, and servers at a sentinel's word, write these files anew while they run, so that each starts again as what it
was last. A sentinel's first file says what all of them would have told one another after two seconds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaosdrills.host.sockets import LOOPBACK

MASTER = "drill"
QUORUM = "quorum"
# How fast a failure is noticed; Redis's own defaults are 30 s and 3 minutes. At 1000 ms or less the first question to a
# new primary is sent only when that time is over: sentinels hold it for down for a moment, and one failover in seven
# or so is followed by another a second later, which makes two primaries for ten seconds.
SENTINEL: Mapping[str, int] = {
    "down-after-milliseconds": 1500,
    "failover-timeout": 10_000,
    "parallel-syncs": 1,
    QUORUM: 2,
}
AOF, RDB, NONE = PERSISTENCE = ("aof", "rdb", "none")
KEPT = {
    AOF: ("appendonly yes", 'save ""'),
    RDB: ("appendonly no", "save 3600 1 300 100 60 10000"),
    NONE: ("appendonly no", 'save ""'),
}
# Beyond the defaults: a title would be written over the environment, by which a lab's processes are known; and a
# replica that begins is to have its copy at once, not after the 5 s in which others might come, too.
OURS = ("set-proc-title no", "always-show-logo no", "repl-diskless-sync-delay 0")
OWNED = frozenset(
    {"port", "bind", "dir", "daemonize", "supervised", "pidfile", "logfile", "include", "set-proc-title", "unixsocket",
     "appendonly", "replicaof", "slaveof", "cluster-enabled", "aclfile", "user", "requirepass",
     "masterauth", "masteruser", "primaryauth", "primaryuser", "sentinel",
     "replica-announce-ip", "replica-announce-port", "slave-announce-ip", "slave-announce-port"}
)  # fmt: skip
"""Settings that are the lab's, or an option of their own."""


@dataclass(frozen=True)
class Place:
    """What one node has to itself: its number, the port at which others reach it, its own, and its data's folder."""

    id: int
    public: int
    own: int
    data: Path


def server(place: Place, primary: Place, persistence: str, settings: Mapping[str, str], tls: bool = False) -> list[str]:
    """The lines of a server, which follows `primary` unless it is that itself. `tls`: it listens for nothing else."""
    return [
        *_listening(place, tls),
        *OURS,
        *KEPT[persistence],
        f"replica-announce-ip {LOOPBACK}",
        f"replica-announce-port {place.public}",
        *([] if place == primary else [f"replicaof {LOOPBACK} {primary.public}"]),
        *settings_lines(settings),
    ]


def settings_lines(settings: Mapping[str, str]) -> list[str]:
    """The lines of settings that are asked for. A value may be several words."""
    return [f"{name} {value or quoted('')}" for name, value in settings.items()]


def sentinel(
    place: Place, servers: Sequence[Place], sentinels: Sequence[Place], choices: Mapping[str, int], tls: bool = False
) -> list[str]:
    """The lines of a sentinel of these `servers`, the first of which leads; `sentinels` are all of them."""
    primary, *replicas = servers
    return [
        *_listening(place, tls),
        *OURS[:2],
        f"sentinel myid {_identity(place)}",
        f"sentinel announce-ip {quoted(LOOPBACK)}",
        f"sentinel announce-port {place.public}",
        *watching(primary.public, choices),
        *(f"sentinel known-replica {MASTER} {LOOPBACK} {each.public}" for each in replicas),
        *(
            f"sentinel known-sentinel {MASTER} {LOOPBACK} {each.public} {_identity(each)}"
            for each in sentinels
            if each != place
        ),
    ]


def watching(port: int, choices: Mapping[str, int]) -> list[str]:
    """The lines of whom a sentinel watches, and how."""
    whole = {**SENTINEL, **choices}
    quorum = whole.pop(QUORUM)
    return [
        f"sentinel monitor {MASTER} {LOOPBACK} {port} {quorum}",
        *(f"sentinel {name} {MASTER} {value}" for name, value in whole.items()),
    ]


def quoted(text: str) -> str:
    """`text` as one word of a file of settings."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _listening(place: Place, tls: bool) -> list[str]:
    ports = ["port 0", f"tls-port {place.own}"] if tls else [f"port {place.own}"]
    return [f"bind {LOOPBACK}", *ports, f"dir {quoted(str(place.data))}"]


def _identity(place: Place) -> str:
    """The name that a sentinel has among others: 40 hexadecimal digits."""
    return hashlib.sha1(f"{place.id} {place.data}".encode(), usedforsecurity=False).hexdigest()
