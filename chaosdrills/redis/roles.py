"""Which nodes a role means now: primary, standby, replica, a sentinel, so many that no quorum is left, or an id.

Roles are asked of the servers and sentinels themselves. The *standby* is the replica that Sentinel would promote: that
of the least replica-priority above 0, of those the one that has most, if that differs by what can be told, then the one
whose run id is least (sentinelSelectReplica in sentinel.c).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.nodes import Cluster
from chaosdrills.redis import overview
from chaosdrills.redis.finding import Client
from chaosdrills.redis.overview import Overview, Server

PRIMARY, STANDBY, REPLICA, SENTINEL, SENTINELS, ID = ROLES = (
    "primary", "standby", "replica", "sentinel", "sentinels", "id",
)  # fmt: skip
REDIS = "redis"  # the other kind of the lab's nodes; what else is there is no part of the Redis
NO_NODE = -1
SETTLE_S = 30.0
POLL_S = 0.1
ALIKE_BYTES = 1 << 20  # more than is written between two questions of one look


@dataclass(frozen=True)
class Chosen:
    """A node, its address, and what a reader calls it: "node 1 (primary)"."""

    node_id: int
    address: str
    label: str


def require_role(role: str, node_id: int) -> None:
    """Raise `UsageError` unless `role` is one of `ROLES`, and ``id`` comes with an id."""
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}.", f"choose one of {', '.join(ROLES)}.")
    if role == ID and node_id < 1:
        raise UsageError("the role 'id' needs 'node_id'.", "give the id of a node, 1 or above.")


def choose(role: str, node_id: int, client: Client, lab: Cluster | None, timeout_s: float = SETTLE_S) -> list[Chosen]:
    """The nodes that are meant, once there are any. Raises `DrillError` if there are none within `timeout_s`.

    Elsewhere than on the lab the servers are numbered in the order of their addresses, and the sentinels after them.
    """
    require_role(role, node_id)
    if role in (SENTINEL, SENTINELS) and not client.url.name:
        raise UsageError("REDIS_URL names no sentinels that could be hit.", "write redis+sentinel://... there.")
    if role == ID and lab is not None:
        return [_node(lab, node_id)]
    if role == ID:
        return [_place(overview.look(client), node_id)]
    found, addresses = _settled(client, _LOOKS[role], timeout_s)
    if lab is None:
        places = _places(found)
        return [_elsewhere(places.index(each) + 1, each, role) for each in addresses]
    return [_in_lab(lab, each, role) for each in addresses]


def _node(lab: Cluster, node_id: int) -> Chosen:
    node = lab.node(node_id)
    if node.kind not in (REDIS, SENTINEL):
        raise UsageError(f"node {node_id} of the lab is the {node.kind}, which no fault hits.", "correct node_id.")
    return Chosen(node_id, node.endpoint, f"node {node_id}")


def _in_lab(lab: Cluster, address: str, role: str) -> Chosen:
    for node in lab.nodes:
        if node.endpoint == address:
            return Chosen(node.id, address, f"node {node.id} ({role.removesuffix('s')})")
    raise UnavailableError(f"no node of the lab is at {address}.", "look at 'chaos drills lab status'.")


def _places(found: Overview) -> list[str]:
    return [*(it.address for it in found.servers), *(it.address for it in found.sentinels)]


def _place(found: Overview, node_id: int) -> Chosen:
    places = _places(found)
    if node_id > len(places):
        raise UsageError(f"{len(places)} servers and sentinels are known, not {node_id}.", "correct node_id.")
    return _elsewhere(node_id, places[node_id - 1], ID)


def _elsewhere(place: int, address: str, role: str) -> Chosen:
    return Chosen(place, address, f"{address} ({role.removesuffix('s')})" if role != ID else address)


def _primary(found: Overview) -> tuple[Sequence[str], str]:
    primaries = [it.address for it in found.primaries]
    if len(primaries) > 1:
        return (), f"there are two primaries at once: {', '.join(primaries)}"
    return primaries, "no server takes writes"


def _replica(found: Overview) -> tuple[Sequence[str], str]:
    return [it.address for it in found.replicas][:1], "no replica follows the primary"


def _standby(found: Overview) -> tuple[Sequence[str], str]:
    """Servers are asked one after another, so under load the last seems to have most: what is alike decides nothing."""
    able = [it for it in found.replicas if _priority(it) > 0]
    least = min(map(_priority, able), default=0)
    first = [it for it in able if _priority(it) == least]
    most = max((it.offset for it in first), default=0)
    chosen = min((it for it in first if most - it.offset < ALIKE_BYTES), key=lambda it: it.run_id, default=None)
    return [] if chosen is None else [chosen.address], "no replica follows the primary that may be promoted"


def _priority(server: Server) -> int:
    return int(server.info.get("slave_priority") or 100)


def _sentinel(found: Overview) -> tuple[Sequence[str], str]:
    return [it.address for it in found.seeing][:1], "no sentinel answers"


def _sentinels(found: Overview) -> tuple[Sequence[str], str]:
    """So many that those which are left, with those that the URL does not name, are fewer than a failover needs."""
    seeing = found.seeing
    known = max((it.others + 1 for it in seeing), default=0)
    unnamed = max(0, known - len(found.sentinels))
    spare = len(seeing) + unnamed - max((it.needed for it in seeing), default=0)
    if spare < 0:
        return (), f"only {len(seeing)} sentinels answer, which are no quorum as it is"
    if spare >= len(seeing) > 0:
        return (), f"REDIS_URL names {len(found.sentinels)} of {known} sentinels: the others would be a quorum still"
    return [it.address for it in seeing][: spare + 1], "no sentinel answers"


_LOOKS: dict[str, Callable[[Overview], tuple[Sequence[str], str]]] = {
    PRIMARY: _primary,
    STANDBY: _standby,
    REPLICA: _replica,
    SENTINEL: _sentinel,
    SENTINELS: _sentinels,
}


def _settled(
    client: Client, addresses_of: Callable[[Overview], tuple[Sequence[str], str]], timeout_s: float
) -> tuple[Overview, Sequence[str]]:
    """What one look found, and the addresses in it that are meant, once there are any."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = overview.look(client)
        addresses, why = addresses_of(found)
        if addresses:
            return found, addresses
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"{why}, {timeout_s:g} s long.", "look at the servers' logs, and run 'chaos drills heal'."
            )
        time.sleep(POLL_S)
