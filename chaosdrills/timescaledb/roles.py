"""Which node a role means now: the primary, its synchronous standby, any replica, etcd, or one by its id.

Roles are asked of the servers themselves, and where SQL does not tell which of several standbys is synchronous, of
Patroni.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.nodes import Cluster
from chaosdrills.timescaledb import overview
from chaosdrills.timescaledb.overview import Overview
from chaosdrills.timescaledb.way import Way

ROLES = ("primary", "sync_standby", "replica", "etcd", "id")
NO_NODE = -1
ETCD, POSTGRESQL = "etcd", "postgresql"  # kinds of the lab's nodes; what else is there is no part of the cluster
SETTLE_S = 30.0
POLL_S = 0.2


@dataclass(frozen=True)
class Chosen:
    """A node, its address, and what a reader calls it: "node 1 (primary)". Elsewhere its id is its place in the DSN."""

    node_id: int
    address: str
    label: str


def require_role(role: str, node_id: int) -> None:
    """Raise `UsageError` unless `role` is one of `ROLES`, and ``id`` comes with an id."""
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}.", f"choose one of {', '.join(ROLES)}.")
    if role == "id" and node_id < 1:
        raise UsageError("the role 'id' needs 'node_id'.", "give the id of a node, 1 or above.")


def choose(role: str, node_id: int, way: Way, lab: Cluster | None, timeout_s: float = SETTLE_S) -> Chosen:
    """The node that is meant, once there is one. Raises `DrillError` if there is none within `timeout_s`."""
    require_role(role, node_id)
    if role == "id":
        return _by_id(node_id, way, lab)
    if role == ETCD:
        return _etcd(lab)
    address = _settled(lambda: _address_of(role, way), timeout_s)
    if lab is None:
        place = way.addresses.split(",").index(address) + 1
        return Chosen(place, address, f"server {place} ({_words(role)})")
    for node in lab.nodes:
        if node.endpoint == address:
            return Chosen(node.id, address, f"node {node.id} ({_words(role)})")
    raise UnavailableError(f"no node of the lab is at {address}.", "look at 'chaos drills lab status'.")


def _by_id(node_id: int, way: Way, lab: Cluster | None) -> Chosen:
    if lab is not None:
        node = lab.node(node_id)
        if node.kind not in (ETCD, POSTGRESQL):
            raise UsageError(f"node {node_id} of the lab is the {node.kind}, which no fault hits.", "correct node_id.")
        return Chosen(node_id, node.endpoint, f"node {node_id}")
    addresses = way.addresses.split(",")
    if node_id > len(addresses):
        raise UsageError(f"the DSN names {len(addresses)} servers, not {node_id}.", "correct node_id.")
    return Chosen(node_id, addresses[node_id - 1], f"server {node_id}")


def _etcd(lab: Cluster | None) -> Chosen:
    node = next((node for node in lab.nodes if node.kind == ETCD), None) if lab else None
    if node is None:
        raise UsageError("etcd can only be hit on the lab.", "hit that of your own cluster with an action of yours.")
    return Chosen(node.id, node.endpoint, f"node {node.id} (etcd)")


def _address_of(role: str, way: Way) -> tuple[str, str]:
    """The address of the server in this role, or why there is none."""
    found = overview.look(way.client)
    if role == "primary":
        primaries = [it.address for it in found.primaries]
        if len(primaries) > 1:
            return "", f"there are two primaries at once: {', '.join(primaries)}"
        return (primaries[0], "") if primaries else ("", "no server takes writes")
    replicas = [it.address for it in found.servers if it.standby and it.streaming]
    if role == "replica":
        return (replicas[0], "") if replicas else ("", "no replica streams")
    return _synchronous(way, found, replicas)


def _synchronous(way: Way, found: Overview, replicas: list[str]) -> tuple[str, str]:
    if not found.synchronous:
        return "", "there is no synchronous standby"
    if len(replicas) == 1:
        return replicas[0], ""
    if way.patroni is None:
        return "", "which standby is the synchronous one cannot be told without timescaledb_patroni"
    known = [it.address for it in way.patroni.members() if it.synchronous and it.address in replicas]
    return (known[0], "") if known else ("", "Patroni names no synchronous standby that the DSN has")


def _words(role: str) -> str:
    return role.replace("sync_standby", "synchronous standby")


def _settled(look: Callable[[], tuple[str, str]], timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    while True:
        address, why = look()
        if address:
            return address
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"{why}, {timeout_s:g} s long.", "look at the servers' logs, and run 'chaos drills heal'."
            )
        time.sleep(POLL_S)
