"""The processes of the primary that send WAL to its standbys, as targets of a fault on the lab."""

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import server_of
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import Identity, family_of, identify
from chaosdrills.timescaledb.finding import PRIMARY
from chaosdrills.timescaledb.roles import choose
from chaosdrills.timescaledb.targeting import Means, lab_of
from chaosdrills.timescaledb.way import Way

ROLE = "walsender"
SENDERS = "SELECT pid FROM pg_stat_replication WHERE state = 'streaming' ORDER BY pid"
ASK_S = 5.0


def targets(way: Way) -> list[Target]:
    """A target for each walsender of the lab's primary. Raises `DrillError` if it is not the lab, or has none."""
    lab = lab_of(Means(), way)
    assert lab is not None, "reachable_lab has found it"
    chosen = choose("primary", 0, way, lab)
    session = way.client.find(PRIMARY, ASK_S)
    try:
        pids = [int(row[0] or 0) for row in session.query(SENDERS, ASK_S)]
    finally:
        session.close()
    found = [it for it in (_of_server(lab, chosen.node_id, pid) for pid in pids) if it is not None]
    if not found:
        raise UnavailableError("the primary sends WAL to nobody: nothing was hit.", "wait until a standby streams.")
    label = f"{ROLE} of {chosen.label}"
    return [
        Target(lab.service, label, ROLE, {"node": chosen.node_id, "pid": it.pid, "start_ticks": it.start_ticks})
        for it in found
    ]


def _of_server(lab: Cluster, node_id: int, pid: int) -> Identity | None:
    """The process `pid`, if the server of that node has started it."""
    process = identify(pid)
    return process if process in family_of([server_of(lab, lab.node(node_id), f"node {node_id}")]) else None
