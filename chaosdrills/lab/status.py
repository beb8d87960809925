"""What runs: a lab's state as a plain dict, for people and for JSON. Looks only; changes nothing."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaosdrills.host import nodes
from chaosdrills.host.network import in_force
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import Identity, family_of, is_alive
from chaosdrills.lab.supervision import is_proxied

MIB_KIB = 1024


def status(service: str) -> dict[str, Any]:
    """The lab of `service`.

    `{"service", "state", "endpoint", "options", "owner_pid", "guard_pid", "network", "proxy_pid", "in_force", "nodes":
    [{"id", "kind", "state", "endpoint", "pid", "memory_mib", "log", "data_dir"}]}`. A node is "running", "paused",
    "dead", or "waiting" where its process runs without the server that it watches over. The lab's is "down" if it is
    not written down, "running" if all its nodes run (with its proxy and the process that it belongs to, if any), "dead"
    if none of them lives, else "damaged". `in_force` is what is done to its network, as
    `chaosdrills.host.network.Effect` has it. Memory is the proportional set size of all of a node's processes: shared
    pages are counted once.
    """
    cluster = nodes.load(service)
    if cluster is None:
        return {"service": service, "state": "down", "endpoint": None, "options": {}, "nodes": []}
    found = [_node(node) for node in cluster.nodes]
    return {
        "service": service,
        "state": _state(cluster, [node["state"] for node in found]),
        "endpoint": cluster.endpoint,
        "options": cluster.options,
        "owner_pid": _pid(cluster.owner),
        "guard_pid": _pid(cluster.guard),
        "network": cluster.network,
        "proxy_pid": _pid(cluster.proxy),
        "in_force": [asdict(effect) for effect in in_force(service, cluster.network)],
        "nodes": found,
    }


def _state(cluster: Cluster, states: list[str]) -> str:
    if set(states) == {"dead"}:
        return "dead"
    owned = (cluster.owner is None or is_alive(cluster.owner)) and is_proxied(cluster)
    return "running" if owned and set(states) == {"running"} else "damaged"


def _node(node: Node) -> dict[str, Any]:
    alive, server = node.process if node.process and node.alive else None, node.server
    return {
        "id": node.id,
        "kind": node.kind,
        "state": _state_of(alive, server),
        "endpoint": node.endpoint,
        "pid": _pid(alive),
        "memory_mib": None if alive is None else _memory_mib({alive, *([server] if server else [])}),
        "log": node.log,
        "data_dir": node.data_dir,
    }


def _state_of(alive: Identity | None, server: Identity | None) -> str:
    if alive is None:
        return "dead"
    if server is None:
        return "waiting"
    return "paused" if _is_paused(alive.pid) or _is_paused(server.pid) else "running"


def _pid(identity: Identity | None) -> int | None:
    return None if identity is None else identity.pid


def _is_paused(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] in "Tt"


def _memory_mib(processes: set[Identity]) -> int | None:
    sizes = [_pss_kib(it.pid) for it in family_of(processes)]
    known = [size for size in sizes if size is not None]
    return round(sum(known) / MIB_KIB) if known else None


def _pss_kib(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), None)
