"""Which node a fault hits, and by what means. Nothing here does anything to a server.

Two means, the argument `target` of the actions: ``lab`` signals the processes of a node of the lab, and refuses any
other cluster. ``command`` runs the user's own argv lists `inject`, `heal` and, if there is one, `check`, in which
``{node}`` (its place in the DSN, from 1), ``{host}`` and ``{port}`` stand for the server that its role chose; it works
on any cluster, and is refused where the cluster is degraded already, unless `degraded_ok`.

`what` says how much of a node of the lab is hit: ``node`` is PostgreSQL and the Patroni that watches over it, at once;
``postmaster`` is PostgreSQL alone, which Patroni starts again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.core.values import seconds, truth
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults.command import TIMEOUT_S, Command, command_target, filled
from chaosdrills.faults.disk import LoseDisk
from chaosdrills.faults.fault import Fault, Target
from chaosdrills.faults.isolate import Isolate, isolate_target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.lab import is_lab, reachable_lab
from chaosdrills.faults.means import TARGETS, argvs_of
from chaosdrills.faults.node import node_target, server_target
from chaosdrills.faults.pause import Pause
from chaosdrills.faults.stop import Stop, stopping_within
from chaosdrills.host.network import require_scope
from chaosdrills.host.nodes import Cluster
from chaosdrills.timescaledb import health, overview
from chaosdrills.timescaledb.roles import ETCD, Chosen, choose
from chaosdrills.timescaledb.way import Way

SERVICE = "timescaledb"
NODE, POSTMASTER = PARTS = ("node", "postmaster")
PLACEHOLDERS = ("node", "host", "port")
DEEDS: Mapping[str, Fault] = {fault.name: fault for fault in (Kill(), LoseDisk(), Stop(), Pause(), Isolate())}


@dataclass(frozen=True)
class Means:
    """How a node is hit; see above. `argvs` are those of `STEPS` that were given, placeholders and all.

    `scope` is that of an isolation, and means nothing to other faults.
    """

    target: str = "lab"
    what: str = NODE
    argvs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    degraded_ok: bool = False
    scope: str = "all"

    @staticmethod
    def of(given: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> "Means":
        """Check what an action was given. Raises `UsageError` that names what is wrong and shows no secret."""
        target, what = given.get("target") or "lab", given.get("what") or NODE
        for name, value, known in (("target", target, TARGETS), ("what", what, PARTS)):
            if value not in known:
                raise UsageError(f"{name} is {value!r}.", f"choose one of {', '.join(known)}.")
        argvs = argvs_of(given, target, PLACEHOLDERS, secrets or {})
        timeout_s = seconds("timeout_s", given.get("timeout_s", TIMEOUT_S))
        degraded_ok = truth("degraded_ok", given.get("degraded_ok", False))
        scope = str(given.get("scope", "all"))
        require_scope(scope)
        return Means(target, what, argvs, timeout_s, degraded_ok, scope)


@dataclass(frozen=True)
class Aim:
    """A fault, and the node that it would hit now."""

    fault: Fault
    target: Target
    chosen: Chosen


def aim(deed: str, role: str, node_id: int, means: Means, way: Way) -> Aim:
    """What `deed` (of `DEEDS`) would hit now. Raises `DrillError` if it may not, or if there is no such node."""
    require_fit(deed, role, means)
    lab = lab_of(means, way)
    if means.target != "lab":
        _refuse_degraded(means, way)
    chosen = choose(role, node_id, way, lab)
    if lab is not None and lab.node(chosen.node_id).kind == ETCD:
        require_fit(deed, ETCD, means)  # it may have been called by its id
    if means.target == "lab":
        assert lab is not None, "reachable_lab has found it"
        if deed == LoseDisk.name:
            _refuse_the_last(chosen, way)
        return Aim(DEEDS[deed], _in_lab(deed, role, chosen, means, lab), chosen)
    return Aim(Command(), _by_command(deed, role, chosen, means), chosen)


def require_fit(deed: str, role: str, means: Means) -> None:
    """Raise `UsageError` for a part that `deed` cannot hit, or whose loss nothing could undo."""
    if means.what == POSTMASTER and (deed != Kill.name or role == ETCD):
        raise UsageError("only a kill of a PostgreSQL node can hit the postmaster alone.", "leave 'what' out.")
    if deed == LoseDisk.name and role == ETCD:
        raise UsageError(
            "the lab's only etcd would forget its cluster with its disk, and nothing could bring that back.",
            "lose the disk of a PostgreSQL node, or kill etcd.",
        )


def lab_of(means: Means, way: Way) -> Cluster | None:
    """The lab, if the cluster is that; None elsewhere. Raises `DrillError` if the target is the lab and it is not."""
    if means.target == "lab" or is_lab(SERVICE, way.addresses):
        return reachable_lab(SERVICE, way.addresses)
    return None


def _in_lab(deed: str, role: str, chosen: Chosen, means: Means, lab: Cluster) -> Target:
    if means.what == POSTMASTER:
        return server_target(lab, chosen.node_id, f"the postmaster of {chosen.label}", role)
    if deed == "isolate":
        return isolate_target(lab, chosen.node_id, chosen.label, role, means.scope)
    node = node_target(lab, chosen.node_id, chosen.label, role)
    return stopping_within(node, means.timeout_s) if deed == "stop" else node


def _refuse_the_last(chosen: Chosen, way: Way) -> None:
    """Raise `UnavailableError` unless another server answers: who else could the node copy when it is healed?"""
    others = [it for it in overview.look(way.client, standbys=False).servers if it.address != chosen.address]
    if all(it.why for it in others):
        raise UnavailableError(
            f"no server but {chosen.label} answers, so that its data could never be made anew: nothing was injected.",
            "run 'chaos drills heal', and wait until the cluster is whole.",
        )


def _by_command(deed: str, role: str, chosen: Chosen, means: Means) -> Target:
    host, _, port = chosen.address.rpartition(":")
    values = {"node": str(chosen.node_id), "host": host, "port": port}
    argvs = {step: filled(step, argv, values) for step, argv in means.argvs.items()}
    return command_target(SERVICE, chosen.label, role, deed, argvs, means.timeout_s, chosen.node_id)


def _refuse_degraded(means: Means, way: Way) -> None:
    """Raise `UnavailableError` if the cluster lacks anything already."""
    _, lacks = health.look(way)
    if lacks and not means.degraded_ok:
        raise UnavailableError(
            f"the cluster is degraded already ({lacks}): nothing was injected.",
            "mend it first; 'degraded_ok' injects all the same.",
        )
