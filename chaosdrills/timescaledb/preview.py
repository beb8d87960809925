"""What the actions on PostgreSQL nodes would hit now, for `chaos drills preview`: asks the cluster, changes nothing."""

from collections.abc import Mapping
from typing import Any

from chaosdrills.errors import DrillError
from chaosdrills.faults.disk import LoseDisk
from chaosdrills.faults.foresight import described, means_of
from chaosdrills.faults.network import FROM
from chaosdrills.faults.node import node_of
from chaosdrills.timescaledb import health, sender, targeting
from chaosdrills.timescaledb.roles import require_role
from chaosdrills.timescaledb.targeting import POSTMASTER, Aim, Means
from chaosdrills.timescaledb.way import Way

DEEDS = {deed if deed == LoseDisk.name else f"{deed}_node": deed for deed in targeting.DEEDS}
PLANNED = {
    "switch_over": "the leadership: Patroni hands it over, as planned work",
    "restart_postgresql": "PostgreSQL on the node in this role: Patroni restarts it, as planned work",
    "reinitialise_replica": "the data of the node in this role: Patroni throws it away and copies the leader's",
}
HOLD = "hold_back_wal"
FAULTS = (*DEEDS, *PLANNED, HOLD)
HEALS = {"heal_nodes": "undoes every fault on nodes that is outstanding"}
WHO = {
    "primary": "the primary",
    "sync_standby": "the synchronous standby",
    "replica": "a replica that streams",
    "etcd": "etcd",
    "id": "the node that is named",
}
LAB_ONLY = "nodes of the lab and nothing else"


def look(way: Way, to_come: bool) -> dict[str, Any]:
    """The cluster now: `{"endpoint", "brokers", "noun", "degraded"}`. Raises `DrillError` if we are refused."""
    lacks = "" if to_come else health.look(way)[1]
    servers = len(way.client.dsn.hosts)
    return {"endpoint": way.addresses, "brokers": servers, "noun": "servers", "degraded": lacks}


def foresee(func: str, given: Mapping[str, Any], secrets: Mapping[str, Any], way: Way, to_come: bool) -> dict[str, Any]:
    """What the action `func` (of `FAULTS`), with all its arguments `given`, would do; `to_come`: to a lab to start.

    `{"hits": [{"broker", "noun", "address", "why", "by", "heal", "check"}], "then": "", "bounds": [...], "refused":
    None}`, as `chaosdrills.kafka.preview.foresee` has it. Raises `UsageError` for arguments that cannot be used.
    """
    found: dict[str, Any] = {"hits": [], "then": "", "bounds": [], "refused": None}
    try:
        if func in PLANNED:
            return found | {"then": _planned(func, given, way, to_come), "bounds": ["one node", "it has no heal"]}
        if func == HOLD:
            return found | {"bounds": [LAB_ONLY], **_held(way, to_come)}
        return found | _hit(DEEDS[func], given, secrets, way, to_come)
    except DrillError as error:
        return found | {"refused": error}


def _hit(deed: str, given: Mapping[str, Any], secrets: Mapping[str, Any], way: Way, to_come: bool) -> dict[str, Any]:
    means = Means.of(given, secrets)
    role, node_id = str(given["role"]), int(given["node_id"])
    require_role(role, node_id)
    targeting.require_fit(deed, role, means)
    if to_come and means.target == "lab":
        part = "the postmaster of " if means.what == POSTMASTER else ""
        then = f"{part}{WHO[role]}, as it is then; by {_signal(deed)}{_from(deed, means)} on the lab"
        return {"then": then, "bounds": [LAB_ONLY]}
    bounds = [LAB_ONLY] if means.target == "lab" else _bounds(means)
    return {"hits": [_described(targeting.aim(deed, role, node_id, means, way))], "bounds": bounds}


def _described(aimed: Aim) -> dict[str, Any]:
    chosen = aimed.chosen
    return described(aimed.fault, aimed.target, chosen.node_id, chosen.address, _and_data(aimed))


def _and_data(aimed: Aim) -> str:
    """What of the node's data is removed, if they are."""
    node = node_of(aimed.target) if isinstance(aimed.fault, LoseDisk) else None
    return f", and removal of {node.data_dir}" if node else ""


def _held(way: Way, to_come: bool) -> dict[str, Any]:
    """The walsenders of the primary."""
    then = "the processes of the primary that send WAL, as they are then; by SIGSTOP on the lab"
    if to_come:
        return {"then": then}
    return {"then": f"{then}: now {', '.join(str(it.handle['pid']) for it in sender.targets(way))}"}


def _planned(func: str, given: Mapping[str, Any], way: Way, to_come: bool) -> str:
    """What Patroni does; it must be known where it is, and see to this cluster."""
    if not to_come:
        health.require_one_cluster(way)
    role = f" ({WHO[str(given['role'])]})" if str(given.get("role")) in WHO else ""
    return f"{PLANNED[func]}{role}"


def _bounds(means: Means) -> list[str]:
    degraded = "a degraded cluster too (degraded_ok)" if means.degraded_ok else "no degraded cluster"
    return ["one node", degraded, f"{means.timeout_s:g} s for each command (timeout_s)"]


def _signal(deed: str) -> str:
    fault = targeting.DEEDS[deed]
    return f"{means_of(fault)} and removal of its data" if isinstance(fault, LoseDisk) else means_of(fault)


def _from(deed: str, means: Means) -> str:
    """From whom a node is cut off, if not from all."""
    return FROM[means.scope] if deed == "isolate" else ""
