"""Which brokers a fault hits, and by what means: the same for the actions, which do it, and for the preview.

Nothing here does anything to a broker. Two means, the argument `target` of the actions: ``lab`` signals the process of
a node of the lab, and refuses any other cluster. ``command`` runs the user's own argv lists `inject`, `heal` and, if
there is one, `check`, in which ``{broker}``, ``{host}`` and ``{port}`` stand for the broker that its role chose, by
metadata; it works on any cluster, and is bounded: at most `max_targets` brokers, and none where the cluster is degraded
already, unless `degraded_ok`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.core.values import seconds, truth
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults.command import TIMEOUT_S, Command, command_target, filled
from chaosdrills.faults.fault import Fault, Target
from chaosdrills.faults.isolate import Isolate, isolate_target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.lab import is_lab, reachable_lab
from chaosdrills.faults.means import TARGETS, argvs_of
from chaosdrills.faults.node import node_target
from chaosdrills.faults.pause import Pause
from chaosdrills.faults.slow import Slow, slow_target
from chaosdrills.faults.stop import Stop, stopping_within
from chaosdrills.host.nodes import Cluster
from chaosdrills.kafka import health
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.roles import NO_BROKER, VIEW_TIMEOUT_S, Chosen, Wish, choose

SERVICE = "kafka"
PLACEHOLDERS = ("broker", "host", "port")
DEEDS: Mapping[str, Fault] = {fault.name: fault for fault in (Kill(), Stop(), Pause(), Isolate(), Slow())}
"""What can be done to a node of the lab, by the names that a command's deed has too."""


@dataclass(frozen=True)
class Means:
    """How brokers are hit; see above. `argvs` are those of `STEPS` that were given, placeholders and all.

    `scope`, `latency_ms` and `jitter_ms` are those of faults on the network, and mean nothing to others.
    """

    target: str = "lab"
    argvs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    max_targets: int = 1
    degraded_ok: bool = False
    scope: str = "all"
    latency_ms: float = 0.0
    jitter_ms: float = 0.0

    @staticmethod
    def of(given: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> "Means":
        """Check what an action was given. Raises `UsageError` that names what is wrong and shows no secret."""
        target = given.get("target") or "lab"
        if target not in TARGETS:
            raise UsageError(f"there is no target {target!r}.", f"choose one of {', '.join(TARGETS)}.")
        argvs = argvs_of(given, target, PLACEHOLDERS, secrets or {})
        return Means(
            target,
            argvs,
            seconds("timeout_s", given.get("timeout_s", TIMEOUT_S)),
            whole("max_targets", given.get("max_targets", 1), 1),
            truth("degraded_ok", given.get("degraded_ok", False)),
            str(given.get("scope", "all")),
            milliseconds("latency_ms", given.get("latency_ms", 0.0)),
            milliseconds("jitter_ms", given.get("jitter_ms", 0.0)),
        )


@dataclass(frozen=True)
class Aim:
    """A fault, and what it would hit now: `targets`, which are the brokers `brokers`."""

    fault: Fault
    targets: list[Target]
    brokers: list[int]


def wish_of(given: Mapping[str, Any], topic: str) -> Wish:
    """The brokers that an action was asked for; `topic` is the drill's own. Raises `UsageError`."""
    return Wish(
        str(given.get("role", "leader")),
        str(given.get("topic") or topic),
        whole("partition", given.get("partition", 0), 0),
        whole("broker_id", given.get("broker_id", NO_BROKER), NO_BROKER),
        whole("seed", given.get("seed", 0), 0),
    )


def lab_of(means: Means, connection: Connection) -> Cluster | None:
    """The lab, if the cluster is that; None elsewhere. Raises `DrillError` if the target is the lab and it is not."""
    if means.target == "lab" or is_lab(SERVICE, connection.bootstrap_servers):
        return reachable_lab(SERVICE, connection.bootstrap_servers)
    return None


def aim(deed: str, wish: Wish, means: Means, connection: Connection) -> Aim:
    """What `deed` (of `DEEDS`) would hit now. Raises `DrillError` if it may not, or if there is no such broker."""
    lab = lab_of(means, connection)
    chosen = choose(wish, lab, connection)
    refuse_many(wish, means, [each.node_id for each in chosen])
    return Aim(
        fault_of(deed, means),
        targets_of(deed, wish.role, chosen, means, connection),
        [each.node_id for each in chosen],
    )


def fault_of(deed: str, means: Means) -> Fault:
    """The fault that does `deed` by these means."""
    return DEEDS[deed] if means.target == "lab" else Command()


def targets_of(deed: str, role: str, chosen: Sequence[Chosen], means: Means, connection: Connection) -> list[Target]:
    """The targets for brokers that were chosen. Raises `DrillError` if one of them cannot be hit."""
    if means.target == "lab":
        lab = reachable_lab(SERVICE, connection.bootstrap_servers)
        return [_in_lab(deed, role, each, means, lab) for each in chosen]
    addresses = Admin(connection).view(VIEW_TIMEOUT_S).brokers
    return [_by_command(deed, role, each, means, addresses.get(each.node_id, "")) for each in chosen]


def refuse_many(wish: Wish, means: Means, brokers: Sequence[int]) -> None:
    """Raise `UsageError` if these are more brokers than may be hit; the lab has no such bound."""
    if means.target != "lab" and len(brokers) > means.max_targets:
        raise UsageError(
            f"the role {wish.role!r} of {wish.topic}/{wish.partition} means {len(brokers)} brokers "
            f"({', '.join(map(str, brokers))}), and max_targets is {means.max_targets}: nothing was injected.",
            f"give max_targets {len(brokers)} if that is wanted, or another role.",
        )


def refuse_degraded(means: Means, connection: Connection) -> str:
    """What the cluster lacks already; empty on the lab, where it is not asked.

    Raises `UnavailableError` if it lacks anything, unless `degraded_ok`.
    """
    lacks = "" if means.target == "lab" else lacking(connection)
    error = degraded(means, lacks)
    if error is not None:
        raise error
    return lacks


def degraded(means: Means, lacks: str) -> UnavailableError | None:
    """The error that a cluster which `lacks` something is refused with; None if it is not."""
    if not lacks or means.target == "lab" or means.degraded_ok:
        return None
    return UnavailableError(
        f"the cluster is degraded already ({lacks}): nothing was injected.",
        "mend it first; 'degraded_ok' injects all the same.",
    )


def lacking(connection: Connection, expected: Iterable[int] = ()) -> str:
    """What keeps the cluster, of at least the brokers `expected`, from being in sync; empty if nothing does."""
    wanted = {*expected, *health.expected_of(connection.bootstrap_servers)}
    return health.look(connection, wanted, topic="").lacks()


def whole(name: str, given: Any, least: int) -> int:
    """A whole number; configuration and environment often have them as texts. Raises `UsageError`."""
    try:
        value = None if isinstance(given, bool) or int(given) != float(given) else int(given)
    except (TypeError, ValueError, OverflowError):
        value = None
    if value is None or value < least:
        raise UsageError(f"{name} is {given!r}.", f"give a whole number from {least} up.")
    return value


def milliseconds(name: str, given: Any) -> float:
    """A time in milliseconds, from 0 up. Raises `UsageError`."""
    try:
        value = -1.0 if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value < 1e6:
        raise UsageError(f"{name} is {given!r}.", "give milliseconds, from 0 up.")
    return value


def _in_lab(deed: str, role: str, chosen: Chosen, means: Means, lab: Cluster) -> Target:
    """The target for one node of the lab. Raises `DrillError` if it does not run, or its network cannot do this."""
    where = (lab, chosen.node_id, chosen.label, role)
    if deed == "isolate":
        return isolate_target(*where, means.scope)
    if deed == "slow":
        return slow_target(*where, means.latency_ms, means.jitter_ms, means.scope)
    node = node_target(*where)
    return stopping_within(node, means.timeout_s) if deed == "stop" else node


def _by_command(deed: str, role: str, chosen: Chosen, means: Means, address: str) -> Target:
    """The target of the commands for one broker; its address is unknown where it is in no metadata."""
    host, _, port = address.rpartition(":")
    values = {"broker": str(chosen.node_id)} | ({"host": host, "port": port} if address else {})
    argvs = {step: filled(step, argv, values) for step, argv in means.argvs.items()}
    return command_target(SERVICE, chosen.label, role, deed, argvs, means.timeout_s, chosen.node_id)
