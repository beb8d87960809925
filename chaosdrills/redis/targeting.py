"""Which nodes a fault hits, and by what means. Nothing here does anything to a server.

Two means, the argument `target` of the actions: ``lab`` signals the processes of nodes of the lab, and refuses any
other Redis. ``command`` runs the user's own argv lists `inject`, `heal` and, if there is one, `check`, once for each
server or sentinel that the role chose: ``{node}`` (its number, `chaosdrills.redis.roles.choose`), ``{host}`` and
``{port}`` stand for it. It works on any Redis, and is refused where that is degraded already, unless `degraded_ok`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.core.values import count, seconds, truth
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults.command import TIMEOUT_S, Command, command_target, filled
from chaosdrills.faults.crash_loop import CrashLoop
from chaosdrills.faults.fault import Fault, Target
from chaosdrills.faults.isolate import Isolate, isolate_target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.lab import is_lab, reachable_lab
from chaosdrills.faults.means import TARGETS, argvs_of
from chaosdrills.faults.node import node_target
from chaosdrills.faults.pause import Pause
from chaosdrills.faults.restart_storm import EVERY_S, TIMES, RestartStorm, storming
from chaosdrills.faults.stop import Stop, stopping_within
from chaosdrills.host.network import require_scope
from chaosdrills.host.nodes import Cluster
from chaosdrills.redis import health
from chaosdrills.redis.finding import Client
from chaosdrills.redis.roles import Chosen, choose

SERVICE = "redis"
LAB, COMMAND = "lab", "command"
PLACEHOLDERS = ("node", "host", "port")
DEEDS: Mapping[str, Fault] = {
    fault.name: fault for fault in (Kill(), Stop(), Pause(), Isolate(), CrashLoop(), RestartStorm())
}


@dataclass(frozen=True)
class Means:
    """How nodes are hit; see above. `argvs` are those of `STEPS` that were given, placeholders and all.

    `scope` is that of an isolation, `times` and `every_s` those of a restart storm; they mean nothing to other faults.
    """

    target: str = LAB
    argvs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    degraded_ok: bool = False
    scope: str = "all"
    times: int = TIMES
    every_s: float = EVERY_S

    @staticmethod
    def of(given: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> "Means":
        """Check what an action was given. Raises `UsageError` that names what is wrong and shows no secret."""
        target = given.get("target") or LAB
        if target not in TARGETS:
            raise UsageError(f"target is {target!r}.", f"choose one of {', '.join(TARGETS)}.")
        argvs = argvs_of(given, target, PLACEHOLDERS, secrets or {})
        timeout_s = seconds("timeout_s", given.get("timeout_s", TIMEOUT_S))
        degraded_ok = truth("degraded_ok", given.get("degraded_ok", False))
        scope = str(given.get("scope", "all"))
        require_scope(scope)
        times, every_s = count("times", given.get("times", TIMES)), seconds("every_s", given.get("every_s", EVERY_S))
        return Means(target, argvs, timeout_s, degraded_ok, scope, times, every_s)


@dataclass(frozen=True)
class Aim:
    """A fault, and the nodes that it would hit now, each with its target."""

    fault: Fault
    targets: Sequence[Target]
    chosen: Sequence[Chosen]


def aim(deed: str, role: str, node_id: int, means: Means, client: Client) -> Aim:
    """What `deed` (of `DEEDS`) would hit now. Raises `DrillError` if it may not, or if there is no such node."""
    lab = lab_of(means, client)
    if means.target == COMMAND:
        _refuse_degraded(means, client)
    chosen = choose(role, node_id, client, lab)
    if means.target == COMMAND:
        return Aim(Command(), [_by_command(deed, role, each, means) for each in chosen], chosen)
    assert lab is not None, "reachable_lab has found it"
    return Aim(DEEDS[deed], [_in_lab(deed, role, each, means, lab) for each in chosen], chosen)


def lab_of(means: Means, client: Client) -> Cluster | None:
    """The lab, if the Redis is that; None elsewhere. Raises `DrillError` if the target is the lab and it is not."""
    if means.target == LAB or is_lab(SERVICE, client.url.addresses):
        return reachable_lab(SERVICE, client.url.addresses)
    return None


def _in_lab(deed: str, role: str, chosen: Chosen, means: Means, lab: Cluster) -> Target:
    if deed == Isolate.name:
        return isolate_target(lab, chosen.node_id, chosen.label, role, means.scope)
    node = node_target(lab, chosen.node_id, chosen.label, role)
    if deed == RestartStorm.name:
        return storming(node, means.times, means.every_s)
    return stopping_within(node, means.timeout_s) if deed == Stop.name else node


def _by_command(deed: str, role: str, chosen: Chosen, means: Means) -> Target:
    host, _, port = chosen.address.rpartition(":")
    values = {"node": str(chosen.node_id), "host": host.strip("[]"), "port": port}
    argvs = {step: filled(step, argv, values) for step, argv in means.argvs.items()}
    return command_target(SERVICE, chosen.label, role, deed, argvs, means.timeout_s, chosen.node_id)


def _refuse_degraded(means: Means, client: Client) -> None:
    """Raise `UnavailableError` if the Redis lacks anything already, or is not there at all."""
    if means.degraded_ok:
        return
    found, lacks = health.look(client)
    if all([*(it.why for it in found.servers), *(it.why for it in found.sentinels)]):
        raise UnavailableError(
            f"no Redis is found ({lacks}): nothing was injected.",
            "check REDIS_URL (redis_url), and that this machine reaches it.",
        )
    if lacks:
        raise UnavailableError(
            f"the Redis is degraded already ({lacks}): nothing was injected.",
            "mend it first; 'degraded_ok' injects all the same.",
        )
