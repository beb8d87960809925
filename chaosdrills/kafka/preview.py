"""What the actions on brokers would hit now, for `chaos drills preview`: asks the cluster, and changes nothing."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaosdrills.core.values import seconds
from chaosdrills.errors import DrillError, UsageError
from chaosdrills.faults.fault import Fault, Target
from chaosdrills.faults.node import NodeFault
from chaosdrills.kafka import restart, targeting
from chaosdrills.kafka.client import Admin, ClusterView, Connection
from chaosdrills.kafka.roles import IN_PARTITION, VIEW_TIMEOUT_S, Chosen, Wish
from chaosdrills.kafka.targeting import Means

FAULTS = {f"{deed}_broker": deed for deed in targeting.DEEDS} | {"restart_brokers": "restart", "kill_consumer": "kill"}
HEALS = {
    "heal_brokers": "undoes every fault on brokers that is outstanding",
    "start_broker": "undoes the faults on brokers of one role, or on one broker",
    "heal_consumers": "starts every consumer of the drill that was killed",
}
DRILL_TOPIC = "the drill's own topic"


@dataclass(frozen=True)
class Scene:
    """The cluster as it is now; `view` and `lacks` are None and empty while there is only a lab to come.

    `topic` is the drill's own: its name, or `DRILL_TOPIC` where that is made when the drill starts. `replicas` is how
    many it has.
    """

    connection: Connection
    brokers: Sequence[int]
    topic: str
    replicas: int
    view: ClusterView | None = None
    lacks: str = ""


def look(connection: Connection, topic: str, replicas: int) -> Scene:
    """The cluster as it is now. Raises `DrillError` if no broker answers."""
    view = Admin(connection).view(VIEW_TIMEOUT_S)
    return Scene(connection, sorted(view.brokers), topic, replicas, view, targeting.lacking(connection))


def foresee(func: str, given: Mapping[str, Any], secrets: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """What the action `func` (of `FAULTS`), with all its arguments `given`, would do in `scene`.

    `{"hits": [{"broker", "address", "why", "by", "heal", "check"}], "then": "", "bounds": [...], "refused": None}`;
    `then` says in words what is only known when the drill runs, `refused` is the error that it would end with.
    Raises `UsageError` for arguments that cannot be used.
    """
    if func == "kill_consumer":
        return _consumer(given)
    means = Means.of(given, secrets)
    found: dict[str, Any] = {"hits": [], "then": "", "bounds": _bounds(func, given, means), "refused": None}
    try:
        if func == "restart_brokers":
            return found | _restart(given, means, scene)
        return found | _fault(FAULTS[func], targeting.wish_of(given, scene.topic), means, scene)
    except DrillError as error:
        return found | {"refused": error}


def _consumer(given: Mapping[str, Any]) -> dict[str, Any]:
    """A member of the drill's own group: there is none before the drill runs."""
    role, partition = str(given["role"]), targeting.whole("partition", given["partition"], 0)
    who = {"member": f"the owner of partition {partition} of {DRILL_TOPIC}", "random": "one of them, at random"}
    if role not in who:
        raise UsageError(f"there is no role {role!r} among consumers.", f"choose one of {', '.join(who)}.")
    then = f"a consumer of the drill, a process of this machine: {who[role]}, as it is then; by SIGKILL"
    return {"hits": [], "then": then, "bounds": ["the drill's own consumers and nothing else"], "refused": None}


def _fault(deed: str, wish: Wish, means: Means, scene: Scene) -> dict[str, Any]:
    """The targets, or what will decide them."""
    if scene.view is None or (wish.role in IN_PARTITION and wish.topic not in scene.view.topics):
        count = scene.replicas - 1 if wish.role == "followers" else 1
        targeting.refuse_many(wish, means, list(scene.brokers)[:count])
        refused = _degraded(means, scene)
        return {"then": _then(deed, wish, means, scene, count), "refused": refused}
    if wish.role == "random" and not wish.seed:
        return {"then": _then(deed, wish, means, scene, 1), "refused": _degraded(means, scene)}
    aimed = targeting.aim(deed, wish, means, scene.connection)
    hits = [_hit(aimed.fault, target, scene.view) for target in aimed.targets]
    return {"hits": hits, "refused": _degraded(means, scene)}


def _degraded(means: Means, scene: Scene) -> DrillError | None:
    """The error that a degraded cluster would be refused with."""
    return targeting.degraded(means, scene.lacks)


def _restart(given: Mapping[str, Any], means: Means, scene: Scene) -> dict[str, Any]:
    """Every broker in its turn."""
    wanted = restart.brokers_of(given["brokers"])
    if scene.view is None:
        which = ", ".join(map(str, wanted or scene.brokers))
        return {"then": f"brokers {which} of the lab, one at a time, the active controller last"}
    order = restart.order_of(wanted, scene.brokers, means, scene.connection)
    chosen = [Chosen(it, f"broker {it} (rolling restart, {at} of {len(order)})") for at, it in enumerate(order, 1)]
    targets = targeting.targets_of("stop", restart.ROLE, chosen, means, scene.connection)
    fault = targeting.fault_of("stop", means)
    refused = targeting.degraded(Means(target="command"), scene.lacks)
    return {"hits": [_hit(fault, target, scene.view) for target in targets], "refused": refused}


def _hit(fault: Fault, target: Target, view: ClusterView) -> dict[str, Any]:
    handle, broker = target.handle, target.handle["node"]
    hit = {
        "broker": broker,
        "address": view.brokers.get(broker, ""),
        "why": target.label.partition("(")[2].rstrip(")") or "its id",
    }
    if isinstance(fault, NodeFault):
        by = f"{fault.sends.name} to process {handle['pid']} (node {broker} of the lab)"
        return hit | {"by": by, "heal": f"node {broker} of the lab is {fault.mended}", "check": ""}
    if "inject" in handle:
        by, heal = shlex.join(handle["inject"]), shlex.join(handle["heal"])
        return hit | {"by": by, "heal": heal, "check": shlex.join(handle.get("check", []))}
    return hit | {"by": fault.describe(target), "heal": "its own", "check": ""}


def _then(deed: str, wish: Wish, means: Means, scene: Scene, count: int) -> str:
    """What will be hit, where only the running drill can tell which brokers that are."""
    brokers = ", ".join(map(str, scene.brokers))
    where = f"partition {wish.partition} of {wish.topic}"
    who = {
        "leader": f"the leader of {where}: one of brokers {brokers}",
        "follower": f"the first follower of {where}: one of brokers {brokers}",
        "followers": f"the {count} followers of {where}, of brokers {brokers}",
        "controller": f"the active controller: one of brokers {brokers}",
        "random": f"one of brokers {brokers}, at random",
        "id": f"broker {wish.broker_id}",
    }[wish.role]
    by = f"by {shlex.join(means.argvs['inject'])}" if means.argvs else f"by {_signal(deed)} on the lab"
    return f"{who}, as it is then; {by}"


def _signal(deed: str) -> str:
    fault = targeting.DEEDS[deed]
    return fault.sends.name if isinstance(fault, NodeFault) else fault.name


def _bounds(func: str, given: Mapping[str, Any], means: Means) -> list[str]:
    """What keeps the action within limits, in words."""
    bounds = []
    if func == "restart_brokers":
        bounds.append("one broker at a time, and none before all replicas are in sync")
        bounds.append(f"{seconds('in_sync_timeout_s', given['in_sync_timeout_s']):g} s for the replicas")
    elif means.target == "lab":
        bounds.append("nodes of the lab and nothing else")
    else:
        bounds.append(f"at most {means.max_targets} broker{'s' * (means.max_targets > 1)} (max_targets)")
        bounds.append("a degraded cluster too (degraded_ok)" if means.degraded_ok else "no degraded cluster")
    if means.target == "command" or func in ("stop_broker", "restart_brokers"):
        what = "each command" if means.target == "command" else "each stop"
        bounds.append(f"{means.timeout_s:g} s for {what} (timeout_s)")
    return bounds
