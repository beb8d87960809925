"""Probes of PostgreSQL clusters, for experiments. They change nothing and serve any cluster, with or without a drill.

All take the cluster from the experiment's configuration (`chaosdrills.timescaledb.way.way_of`), answer a flat object
without null, and fail where they cannot know. Servers are told by their place in the DSN, from 1. What needs the driver
is imported when it is called.
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

from typing import TYPE_CHECKING

from chaoslib.types import Configuration, Secrets

from chaosdrills.observe.actions import refusing, typed

if TYPE_CHECKING:
    from chaosdrills.timescaledb.overview import Overview

__all__ = [
    "cluster_whole",
    "in_recovery",
    "primary",
    "replication_lag",
    "replication_slots",
    "synchronous_standbys",
]


def cluster_whole(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Whether one server leads, all others stream from it on its timeline, and one is synchronous if it is to be.

    Returns `{"whole": true, "servers": 2, "silent": 0, "primaries": 1, "standbys": 1, "synchronous": 1, "lacks": ""}`;
    `lacks` says in words what is missing. Fails only if a server does not accept who we are.
    """
    with refusing():
        from chaosdrills.timescaledb import health
        from chaosdrills.timescaledb.way import way_of

        found, lacks = health.look(way_of(configuration, secrets))
        return {
            "whole": not lacks,
            "servers": len(found.servers),
            "silent": sum(bool(it.why) for it in found.servers),
            "primaries": len(found.primaries),
            "standbys": len(found.standbys),
            "synchronous": len(found.synchronous),
            "lacks": lacks,
        }


def primary(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Which server takes writes: `{"primary": 1, "primaries": 1, "timeline": 3}`.

    `primary` is its place in the DSN, 0 where there is none; more than one in `primaries` is a split brain. `timeline`
    grows with each promotion.
    """
    with refusing():
        found = _look(configuration, secrets)
        (first, *_) = [*found.primaries, None]
        place = found.servers.index(first) + 1 if first else 0
        return {"primary": place, "primaries": len(found.primaries), "timeline": first.timeline if first else 0}


def replication_lag(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """How far standbys are behind the primary in replaying, as it sees them: the worst of them.

    Returns `{"standbys": 1, "streaming": 1, "lag_bytes": 0, "lag_s": 0.0, "worst": "node2"}`; `lag_s` is what the last
    commits took to be replayed there. Fails without a primary, and without a standby.
    """
    with refusing():
        from chaosdrills.errors import UnavailableError

        found = _with_primary(configuration, secrets)
        if not found.standbys:
            raise UnavailableError("the primary has no standby, whose lag could be told.", "look at the replicas.")
        worst = max(found.standbys, key=lambda it: (it.lag_bytes, it.lag_s))
        return {
            "standbys": len(found.standbys),
            "streaming": sum(it.state == "streaming" for it in found.standbys),
            "lag_bytes": worst.lag_bytes,
            "lag_s": round(worst.lag_s, 3),
            "worst": worst.name,
        }


def synchronous_standbys(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """How many standbys commits wait for: `{"synchronous": 1, "waits": true, "names": "node2"}`.

    `waits` says whether `synchronous_standby_names` asks for any: where it does and there are none, writes stand still.
    Fails without a primary.
    """
    with refusing():
        found = _with_primary(configuration, secrets)
        names = ", ".join(sorted(it.name for it in found.synchronous))
        return {"synchronous": len(found.synchronous), "waits": found.waits, "names": names}


def in_recovery(node_id: int = 1, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Whether the server at the place `node_id` of the DSN only follows.

    Returns `{"in_recovery": true, "streaming": true, "timeline": 2, "replayed_s": 0.2}`: `replayed_s` is how long ago
    the last transaction that it replayed was committed, -1 where there was none. Fails if it does not answer.
    """
    with refusing():
        from chaosdrills.errors import UnavailableError, UsageError

        servers = _look(configuration, secrets).servers
        if not 1 <= int(node_id) <= len(servers):
            raise UsageError(f"the DSN has no server {node_id}.", f"use 1 to {len(servers)}.")
        server = servers[int(node_id) - 1]
        if server.why:
            raise UnavailableError(f"{server.address} {server.why}.", "look at its log.")
        return {
            "in_recovery": server.standby,
            "streaming": server.streaming,
            "timeline": server.timeline,
            "replayed_s": server.replayed_s,
        }


def replication_slots(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """The replication slots of the primary: `{"slots": 1, "inactive": 0, "which": ""}`.

    An inactive slot keeps WAL until the disk is full; `which` names those. Fails without a primary.
    """
    with refusing():
        found = _with_primary(configuration, secrets)
        inactive = sorted(name for name, active in found.slots.items() if not active)
        return {"slots": len(found.slots), "inactive": len(inactive), "which": ", ".join(inactive)}


def _look(configuration: Configuration, secrets: Secrets) -> "Overview":
    """What one look at all servers found."""
    from chaosdrills.timescaledb import overview
    from chaosdrills.timescaledb.way import way_of

    return overview.look(way_of(configuration, secrets).client)


def _with_primary(configuration: Configuration, secrets: Secrets) -> "Overview":
    """The same. Raises `UnavailableError` unless there is just one primary."""
    from chaosdrills.errors import UnavailableError

    found = _look(configuration, secrets)
    if len(found.primaries) != 1:
        raise UnavailableError(f"{len(found.primaries)} servers take writes, not one.", "look at the servers.")
    return found


typed(__name__)
