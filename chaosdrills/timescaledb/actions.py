"""Actions on PostgreSQL nodes, for experiments.

Faults hit the lab, or any cluster by the user's own commands (see `chaosdrills.timescaledb.targeting`); what Patroni
does when it is asked, and `wait_whole`, serve any cluster. What needs the driver is imported when it is called: without
one an experiment is still validated, and says what to install, and nodes are still healed.

All take the cluster from the experiment's configuration (`chaosdrills.timescaledb.way.way_of`).
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

import time

from chaoslib.types import Configuration, Secrets

from chaosdrills.faults.own import heal_own
from chaosdrills.observe.actions import refusing, typed
from chaosdrills.timescaledb import deeds

__all__ = [
    "heal_nodes",
    "hold_back_wal",
    "isolate_node",
    "kill_node",
    "lose_disk",
    "pause_node",
    "reinitialise_replica",
    "restart_postgresql",
    "stop_node",
    "switch_over",
    "wait_whole",
]

NONE: list = []


def kill_node(
    role: str = "primary",
    node_id: int = -1,
    what: str = "node",
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Kill a node, chosen by its role: SIGKILL on the lab, or your own command.

    `role`: "primary"; "sync_standby", the one that commits wait for; "replica", one that follows; "etcd" (on the lab);
    "id", the node `node_id` (elsewhere: the server at that place of the DSN, from 1). `what`: "node", PostgreSQL and
    its Patroni at once, as when a machine goes down; "postmaster", PostgreSQL alone, which Patroni starts again.
    `target`: "lab", or "command", which runs `inject` and its `heal`, and asks `check` (exit status 0: healthy) if
    given; lists without a shell, each bounded by `timeout_s`, in which {node}, {host} and {port} are replaced. A
    command hits nothing on a degraded cluster unless `degraded_ok`. Marks itself in the drill's record. Returns
    `{"killed": 1, "node": 1, "what": "kill -9 of node 1 (primary)"}`, of a command with its last lines as `output`.
    """
    with refusing():
        return deeds.hit("kill", "killed", locals())


def lose_disk(
    role: str = "primary",
    node_id: int = -1,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Lose a node and its disk, chosen by its role: kill it and remove its data on the lab, or your own command.

    What no other node has received is gone for ever. Healed by starting the node again: Patroni finds no data, and
    copies the leader's. Refused on the lab where no other server answers, and for etcd. All arguments are those of
    `kill_node`. Returns `{"lost_disks": 1, "node": 1, "what": "kill -9 and loss of the disk of node 1 (primary)"}`.
    """
    with refusing():
        return deeds.hit("lose_disk", "lost_disks", locals())


def stop_node(
    role: str = "primary",
    node_id: int = -1,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Stop a node in good order, chosen by its role: SIGTERM to its Patroni on the lab, or your own command.

    Patroni stops PostgreSQL and gives its leadership up before it ends. All arguments are those of `kill_node`. Returns
    `{"stopped": 1, "node": 1, "what": "stop of node 1 (primary)"}`.
    """
    with refusing():
        return deeds.hit("stop", "stopped", locals())


def pause_node(
    role: str = "primary",
    node_id: int = -1,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Pause a node, chosen by its role: SIGSTOP to PostgreSQL and Patroni on the lab, or your own command.

    It answers nothing and closes nothing, and goes on when it is healed. All arguments are those of `kill_node`.
    Returns `{"paused": 1, "node": 1, "what": "pause of node 1 (primary)"}`.
    """
    with refusing():
        return deeds.hit("pause", "paused", locals())


def isolate_node(
    role: str = "primary",
    node_id: int = -1,
    scope: str = "all",
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Cut a node off the network, silently and in both directions; it goes on running.

    `scope`: "all"; "clients", while replication and Patroni go on; "peers", the other PostgreSQL nodes and etcd, while
    its clients still reach it. The lab needs the option network ("isolable"); elsewhere it is your own command's
    business. All other arguments are those of `kill_node`. Returns `{"isolated": 1, "node": 1, "what": "isolation of
    node 1 (primary) from its peers"}`.
    """
    with refusing():
        return deeds.hit("isolate", "isolated", locals())


def hold_back_wal(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Have the primary of the lab send no more WAL, and stay connected: SIGSTOP to its walsenders.

    What it acknowledges from now on is nowhere else, unless commits wait for a standby: then they stand still. Healed
    by `heal_nodes`, which lets them go on. Marks itself in the drill's record. Returns `{"held": 1, "what": "pause of
    walsender of node 1 (primary)"}`; fails if no standby streams, or elsewhere than on the lab.
    """
    with refusing():
        return deeds.hold_back(locals())


def heal_nodes(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Undo every fault on nodes that is outstanding, of whatever kind and by whatever means; safe to repeat.

    Starts nodes of the lab that a drill has killed or stopped, has paused ones go on, lifts isolations, and runs the
    heal of every command of this drill. Leaves the lab alone where the experiment talks to another cluster. Marked if
    it has something to do. Returns when they accept connections, with `{"healed": 1, "nothing_to_do": 0}`.
    """
    with refusing():
        return heal_own(deeds.SERVICE, deeds.addresses_of((configuration or {}).get("timescaledb_dsn")))


def wait_whole(timeout_s: float = 120.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Wait until one server leads, all others of the DSN stream from it on its timeline, and one is synchronous.

    The latter if Patroni says so, or commits wait for standbys. An old primary that has to be rewound first is waited
    for. Returns `{"servers": 2, "standbys": 1, "synchronous": 1, "timeline": 2, "waited_s": 6.1}`; fails with what is
    still missing after `timeout_s`.
    """
    with refusing():
        from chaosdrills.timescaledb import health
        from chaosdrills.timescaledb.way import way_of

        begun = time.monotonic()
        found = health.wait_whole(way_of(configuration, secrets), float(timeout_s))
        return {
            "servers": len(found.servers),
            "standbys": len(found.standbys),
            "synchronous": len(found.synchronous),
            "timeline": found.primaries[0].timeline,
            "waited_s": round(time.monotonic() - begun, 3),
        }


def switch_over(
    candidate: str = "", timeout_s: float = 60.0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """A planned switchover by Patroni, to its member `candidate` (empty: any), over when another node leads.

    Needs timescaledb_patroni. Marked as a fault, which nothing heals. Returns `{"switched": 1, "before": "node1",
    "after": "node2", "what": "switchover from node1"}`.
    """
    with refusing():
        from chaosdrills.timescaledb.way import way_of

        return deeds.switch_over(way_of(configuration, secrets), candidate, float(timeout_s))


def restart_postgresql(
    role: str = "primary",
    node_id: int = -1,
    timeout_s: float = 60.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Restart PostgreSQL on one node, chosen as in `kill_node`, by Patroni and as planned work.

    Needs timescaledb_patroni. Marked as a fault, which nothing heals. Returns `{"restarted": 1, "member": "node1",
    "what": "restart of PostgreSQL on node1 (primary)", "said": "restarted successfully"}`.
    """
    with refusing():
        from chaosdrills.timescaledb.way import way_of

        return deeds.restart(way_of(configuration, secrets), role, int(node_id), float(timeout_s))


def reinitialise_replica(
    role: str = "replica",
    node_id: int = -1,
    timeout_s: float = 60.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Throw a replica's data away, and have Patroni copy the leader's; `wait_whole` waits for its end.

    The replica is chosen as in `kill_node`. Needs timescaledb_patroni. Marked as a fault, which nothing heals. Returns
    `{"reinitialised": 1, "member": "node2", "what": "reinitialisation of node2 (replica)", "said": "..."}`.
    """
    with refusing():
        from chaosdrills.timescaledb.way import way_of

        return deeds.reinitialise(way_of(configuration, secrets), role, int(node_id), float(timeout_s))


typed(__name__)
