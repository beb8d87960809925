"""Probes of any Redis or Valkey, for experiments. They change nothing, with or without a drill.

All take the Redis from the experiment's configuration (`chaosdrills.redis.way.way_of`), answer a flat object without
null, and fail where they cannot know. Servers are told by their number, from 1 in the order of their addresses, as the
lab's nodes are; 0 is whoever leads. What needs the driver is imported when it is called.
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

from dataclasses import asdict
from typing import TYPE_CHECKING

from chaoslib.types import Configuration, Secrets

from chaosdrills.observe.actions import refusing, typed

if TYPE_CHECKING:
    from chaosdrills.redis.overview import Overview, Server

__all__ = [
    "cluster_whole",
    "evictions",
    "failovers",
    "keys",
    "last_save",
    "memory",
    "primary",
    "replication_lag",
    "role",
    "sentinel_quorum",
]


def cluster_whole(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Whether one server leads, all others that are known follow it, and every sentinel sees that and a quorum.

    Returns `{"whole": true, "servers": 3, "silent": 0, "primaries": 1, "replicas": 2, "sentinels": 3,
    "silent_sentinels": 0, "lacks": ""}`; `replicas` are those in step, and `lacks` says in words what is missing. Fails
    only if a server does not accept who we are, or cannot be used.
    """
    with refusing():
        found = _look(configuration, secrets)
        lacks = found.lacks()
        return {
            "whole": not lacks,
            "servers": len(found.servers),
            "silent": sum(bool(it.why) for it in found.servers),
            "primaries": len(found.primaries),
            "replicas": len(found.replicas),
            "sentinels": len(found.sentinels),
            "silent_sentinels": len(found.sentinels) - len(found.seeing),
            "lacks": lacks,
        }


def primary(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Which server takes writes: `{"primary": 1, "address": "10.0.0.1:6379", "primaries": 1}`.

    `primary` is its number, 0 where there is none; more than one in `primaries` is a split brain, or an old primary
    that is still to be demoted.
    """
    with refusing():
        found = _look(configuration, secrets)
        (first, *_) = [*found.primaries, None]
        place = found.servers.index(first) + 1 if first else 0
        return {"primary": place, "address": first.address if first else "", "primaries": len(found.primaries)}


def role(node_id: int = 1, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """What the server `node_id` is: `{"role": "replica", "replica": true, "linked": true, "follows": "10.0.0.1:6379"}`.

    A primary is not `replica` and not `linked`, and follows "". Fails if it does not answer.
    """
    with refusing():
        found = _look(configuration, secrets)
        server = _server(found, int(node_id))
        return {
            "role": server.role,
            "replica": server.role == "replica",
            "linked": server.linked,
            "follows": server.follows,
        }


def replication_lag(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """How far replicas are behind the primary, as it sees them: the worst of them.

    Returns `{"replicas": 2, "online": 2, "lag_bytes": 0, "lag_s": 0, "worst": "10.0.0.2:6379", "offset": 91120}`. They
    say once a second how far they are: so long ago it was is `lag_s`, and what came since is in `lag_bytes`. Fails
    without a primary, and without a replica.
    """
    with refusing():
        from chaosdrills.errors import UnavailableError

        leads = _server(_look(configuration, secrets), 0)
        if not leads.replicas:
            raise UnavailableError("the primary has no replica, whose lag could be told.", "look at the replicas.")
        worst = max(leads.replicas, key=lambda it: (not it.in_step, it.lag_bytes, it.lag_s))
        return {
            "replicas": len(leads.replicas),
            "online": sum(it.in_step for it in leads.replicas),
            "lag_bytes": worst.lag_bytes,
            "lag_s": worst.lag_s,
            "worst": worst.address,
            "offset": leads.offset,
        }


def sentinel_quorum(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Whether the sentinels could have a failover now: enough of them answer, see a quorum, and agree who leads.

    Returns `{"quorum": true, "sentinels": 3, "answering": 3, "seeing_quorum": 3, "agreeing": 3, "needed": 2, "leader":
    "10.0.0.1:6379"}`; `leader` is whom most call so. Fails if the URL names none, or none answers.
    """
    with refusing():
        found = _with_sentinels(configuration, secrets)
        led = [it.leader for it in found.seeing]
        leader = max(sorted(set(led)), key=led.count)
        seeing_quorum = sum(not it.lacks_quorum for it in found.seeing)
        needed = max(it.needed for it in found.seeing)
        return {
            "quorum": min(seeing_quorum, led.count(leader)) >= needed,
            "sentinels": len(found.sentinels),
            "answering": len(found.seeing),
            "seeing_quorum": seeing_quorum,
            "agreeing": led.count(leader),
            "needed": needed,
            "leader": leader,
        }


def failovers(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """What sentinels know of failovers: `{"epoch": 2, "under_way": 0, "agreeing": 3, "leader": "10.0.0.1:6379"}`.

    `epoch` is that of the newest configuration, which grows with each failover; `agreeing` is how many sentinels have
    that, and `under_way` how many are at one now. Fails if the URL names none, or none answers.
    """
    with refusing():
        found = _with_sentinels(configuration, secrets)
        newest = [it for it in found.seeing if it.epoch == found.epoch]
        return {
            "epoch": found.epoch,
            "under_way": sum(it.failing_over for it in found.seeing),
            "agreeing": len(newest),
            "leader": newest[0].leader,
        }


def last_save(node_id: int = 0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """How a server (0: the primary) keeps its data: `{"age_s": 12.0, "ok": true, "changes": 0, "aof": true}`.

    `age_s` is how old its last snapshot is, or since when it runs if it has made none, `changes` how many writes came
    since, `ok` whether the last snapshot and, where there is one (`aof`), the last write to the append-only file went
    well. Fails if it does not answer, or does not say.
    """
    with refusing():
        server = _server(_look(configuration, secrets), int(node_id))
        aof = server.says("aof_enabled") == "1"
        kept = ("rdb_last_bgsave_status", *(("aof_last_write_status",) if aof else ()))
        now_s = int(server.says("server_time_usec")) / 1e6
        return {
            "age_s": round(max(0.0, now_s - int(server.says("rdb_last_save_time"))), 3),
            "ok": all(server.says(name) == "ok" for name in kept),
            "changes": int(server.says("rdb_changes_since_last_save")),
            "aof": aof,
        }


def keys(
    prefix: str = "",
    sample: int = 100,
    timeout_s: float = 60.0,
    node_id: int = 0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """How many keys of the URL's database begin with `prefix`, by SCAN, and how long a `sample` of them still lives.

    Returns `{"keys": 5120, "all": 6000, "sampled": 100, "endless": 100, "shortest_s": -1.0, "longest_s": -1.0}`: of the
    sampled ones `endless` never expire; the times are those of the others, -1 without any. `node_id`: of which server,
    0 of the primary. Fails if that cannot be counted within `timeout_s`.
    """
    with refusing():
        from chaosdrills.redis import counting
        from chaosdrills.redis.way import way_of

        address = _server(_look(configuration, secrets), int(node_id)).address
        found = counting.count(way_of(configuration, secrets), address, str(prefix), int(sample), float(timeout_s))
        return {**asdict(found.lifetimes), "keys": found.keys, "all": found.all}


def memory(node_id: int = 0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """The memory of a server (0: the primary), and what it does when that is full.

    Returns `{"used_bytes": 1048576, "rss_bytes": 8388608, "max_bytes": 0, "used_ratio": 0.0, "policy": "noeviction",
    "fragmentation": 8.0}`; without a limit (`max_bytes` 0) `used_ratio` is 0. Fails if it does not answer.
    """
    with refusing():
        server = _server(_look(configuration, secrets), int(node_id))
        used, most = int(server.says("used_memory")), int(server.says("maxmemory"))
        return {
            "used_bytes": used,
            "rss_bytes": int(server.says("used_memory_rss")),
            "max_bytes": most,
            "used_ratio": round(used / most, 4) if most else 0.0,
            "policy": server.says("maxmemory_policy"),
            "fragmentation": float(server.says("mem_fragmentation_ratio")),
        }


def evictions(node_id: int = 0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """How many keys a server (0: the primary) has evicted for lack of memory, and how many have expired there.

    Returns `{"evicted": 0, "expired": 12, "uptime_s": 3600}`: since it was started. Fails if it does not answer.
    """
    with refusing():
        server = _server(_look(configuration, secrets), int(node_id))
        return {
            "evicted": int(server.says("evicted_keys")),
            "expired": int(server.says("expired_keys")),
            "uptime_s": int(server.says("uptime_in_seconds")),
        }


def _look(configuration: Configuration, secrets: Secrets) -> "Overview":
    """What one look at all servers and sentinels found."""
    from chaosdrills.redis import overview
    from chaosdrills.redis.way import way_of

    return overview.look(way_of(configuration, secrets))


def _server(found: "Overview", node_id: int) -> "Server":
    """The server of that number, 0 for the primary. Raises `DrillError` if it does not answer, or is not one."""
    from chaosdrills.errors import UnavailableError, UsageError

    if not node_id:
        if len(found.primaries) != 1:
            raise UnavailableError(f"{len(found.primaries)} servers take writes, not one.", "look at the servers.")
        return found.primaries[0]
    if not 1 <= node_id <= len(found.servers):
        raise UsageError(f"there is no server {node_id}.", f"use 1 to {len(found.servers)}, or 0 for the primary.")
    server = found.servers[node_id - 1]
    if server.why:
        raise UnavailableError(f"{server.address} {server.why}.", "look at its log.")
    return server


def _with_sentinels(configuration: Configuration, secrets: Secrets) -> "Overview":
    """What one look found. Raises `DrillError` unless a sentinel answers."""
    from chaosdrills.errors import UnavailableError, UsageError

    found = _look(configuration, secrets)
    if not found.sentinels:
        raise UsageError("REDIS_URL names no sentinels that could be asked.", "write redis+sentinel://... there.")
    if not found.seeing:
        said = "; ".join(f"{it.address} {it.why}" for it in found.sentinels)
        raise UnavailableError(f"no sentinel answers: {said}.", "look at the sentinels' logs.")
    return found


typed(__name__)
