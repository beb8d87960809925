"""Actions on the servers and sentinels of a Redis, for experiments.

Faults hit the lab, or any Redis by the user's own commands (see `chaosdrills.redis.targeting`); a failover by Sentinel,
FLUSHALL and `wait_whole` serve any. What needs the driver is imported when it is called: without one an experiment is
still validated, and says what to install, and nodes are still healed.

All take the Redis from the experiment's configuration (`chaosdrills.redis.way.way_of`).
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

import time

from chaoslib.types import Configuration, Secrets

from chaosdrills.faults.own import heal_own
from chaosdrills.observe.actions import refusing, typed
from chaosdrills.redis import deeds
from chaosdrills.redis.url import addresses

__all__ = [
    "crash_loop_node",
    "fail_over",
    "flush_all",
    "heal_nodes",
    "isolate_node",
    "kill_node",
    "pause_node",
    "restart_storm_node",
    "stop_node",
    "wait_whole",
]

NONE: list = []


def kill_node(
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
    """Kill a server or sentinel, chosen by its role: SIGKILL on the lab, or your own command.

    `role`: "primary"; "standby", the replica that Sentinel would promote; "replica", one that follows; "sentinel", one
    of them; "sentinels", so many that those left are no quorum; "id", the node `node_id` (elsewhere: servers in the
    order of their addresses, then sentinels, from 1). `target`: "lab", or "command", which runs `inject` and its
    `heal`, and asks `check` (exit status 0: healthy) if given; lists without a shell, each bounded by `timeout_s`, in
    which {node}, {host} and {port} are replaced. A command hits nothing on a degraded Redis unless `degraded_ok`. Marks
    itself in the drill's record. Returns `{"killed": 1, "nodes": "1", "what": "kill -9 of node 1 (primary)"}`, of a
    command with its last lines as `output`.
    """
    with refusing():
        return deeds.hit("kill", "killed", locals())


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
    """Stop a server or sentinel in good order, chosen by its role: SIGTERM on the lab, or your own command.

    A server waits for its replicas, saves and ends; nobody leads until Sentinel finds that out. All arguments are those
    of `kill_node`. Returns `{"stopped": 1, "nodes": "1", "what": "stop of node 1 (primary)"}`.
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
    """Pause a server or sentinel, chosen by its role: SIGSTOP on the lab, or your own command.

    It answers nothing and closes nothing, and goes on when it is healed: an old primary takes writes then, some 10 s
    long, until Sentinel demotes it, and all of them are lost. All arguments are those of `kill_node`. Returns
    `{"paused": 1, "nodes": "1", "what": "pause of node 1 (primary)"}`.
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
    """Cut a server or sentinel off the network, silently and in both directions; it goes on running.

    `scope`: "all"; "clients", while replication and Sentinel go on; "peers", the other servers and the sentinels, while
    its clients still reach it. The lab needs the option network ("isolable"); elsewhere it is your own command's
    business. All other arguments are those of `kill_node`. Returns `{"isolated": 1, "nodes": "1", "what": "isolation
    of node 1 (primary) from its peers"}`.
    """
    with refusing():
        return deeds.hit("isolate", "isolated", locals())


def crash_loop_node(
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
    """Kill a server or sentinel that then ends at once however often it is started, until it is healed.

    On the lab SIGKILL, and its settings are put aside; a self-healer tries in vain, and is seen at it (the probe
    `restart_attempts`). All arguments are those of `kill_node`. Returns `{"crash_looping": 1, "nodes": "1", "what":
    "crash loop of node 1 (primary)"}`.
    """
    with refusing():
        return deeds.hit("crash_loop", "crash_looping", locals())


def restart_storm_node(
    role: str = "primary",
    node_id: int = -1,
    times: int = 5,
    every_s: float = 2.0,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Restart a server or sentinel again and again: `times` kills in a row, one every `every_s` seconds.

    On the lab each but the last is followed by a start, whether it comes up or not; the last start is the heal's. It is
    one fault, over with the last kill. Elsewhere it is your own command's business. All other arguments are those of
    `kill_node`. Returns `{"stormed": 1, "nodes": "1", "what": "restart storm of node 1 (primary): kill -9 5 times,
    every 2 s"}`.
    """
    with refusing():
        return deeds.hit("restart_storm", "stormed", locals())


def fail_over(
    coordinated: bool = False,
    timeout_s: float = 60.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """A planned failover by Sentinel (SENTINEL FAILOVER), over when another server leads.

    Sentinel promotes a replica, and demotes the old primary only some 10 s later: what clients that are still connected
    write there meanwhile is acknowledged and lost. With `coordinated` (sentinels and servers of Valkey 9) the old
    primary holds its writers until the replica has all, and follows it at once. Needs a redis_url of sentinels. Marked
    as a fault, which nothing heals. Returns `{"failed_over": 1, "before":
    "127.0.0.1:27379", "after": "127.0.0.1:27380", "by": "127.0.0.1:27399", "what": "failover from ... by Sentinel"}`.
    """
    with refusing():
        from chaosdrills.core.values import truth
        from chaosdrills.redis.way import way_of

        return deeds.fail_over(way_of(configuration, secrets), truth("coordinated", coordinated), float(timeout_s))


def flush_all(
    allow: str = "",
    allow_foreign_keys: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """FLUSHALL on the primary: every key of every database is gone, and the replicas' with them.

    `allow` must name what is flushed: the primary's address, or through Sentinel the master's name; without it nothing
    is, and the error says how many keys would have gone. Elsewhere than on the lab it is refused where there are keys
    that no drill has made, unless `allow_foreign_keys`. Marked as a fault, which nothing heals. Returns `{"flushed": 1,
    "address": "127.0.0.1:27379", "keys": 5120, "foreign": 0, "what": "FLUSHALL on 127.0.0.1:27379"}`.
    """
    with refusing():
        from chaosdrills.core.values import truth
        from chaosdrills.redis.way import way_of

        foreign_ok = truth("allow_foreign_keys", allow_foreign_keys)
        return deeds.flush_all(way_of(configuration, secrets), str(allow), foreign_ok)


def heal_nodes(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Undo every fault on nodes that is outstanding, of whatever kind and by whatever means; safe to repeat.

    Starts nodes of the lab that a drill has killed or stopped, has paused ones go on, lifts isolations, and runs the
    heal of every command of this drill. Leaves the lab alone where the experiment talks to another Redis. Marked if it
    has something to do. Returns when they accept connections, with `{"healed": 1, "nothing_to_do": 0}`.
    """
    with refusing():
        named = addresses(str((configuration or {}).get("redis_url") or ""))
        return heal_own(deeds.SERVICE, ",".join(sorted(named)))


def wait_whole(timeout_s: float = 120.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Wait until one server leads, all others that are known follow it, and every sentinel sees that and a quorum.

    An old primary that came back is waited for until it is demoted. Serves any Redis. Returns `{"servers": 3,
    "replicas": 2, "sentinels": 3, "epoch": 1, "waited_s": 11.2}`; fails with what is still missing after `timeout_s`.
    """
    with refusing():
        from chaosdrills.redis import health
        from chaosdrills.redis.way import way_of

        begun = time.monotonic()
        found = health.wait_whole(way_of(configuration, secrets), float(timeout_s))
        return {
            "servers": len(found.servers),
            "replicas": len(found.replicas),
            "sentinels": len(found.sentinels),
            "epoch": found.epoch,
            "waited_s": round(time.monotonic() - begun, 3),
        }


typed(__name__)
