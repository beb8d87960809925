"""What the faults on a node's network have in common. Each has a file, a name and a description of its own.

The handle is ``{"network": "filtered", "kind": "cut", "node": 2, "scope": "all", "latency_ms": 0, "jitter_ms": 0}``:
an effect of `chaosdrills.host.network`, and the kind of the lab's network. With the lab's folder that is all it takes
to lift it, even where the lab itself is gone.
"""

from dataclasses import asdict

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import lab_of
from chaosdrills.host import network
from chaosdrills.host.network import Effect
from chaosdrills.host.nodes import Cluster, Node, load
from chaosdrills.host.processes import is_alive, wait_until
from chaosdrills.host.scopes import CLIENTS, meant_at
from chaosdrills.host.sockets import accepts

FROM = {"all": "", "peers": " from its peers", "clients": " from its clients"}


class NetworkFault:
    """A fault without name and description; see `chaosdrills.faults.fault.Fault`."""

    local = True

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` unless the node runs and the effect would add to what is in force on it."""
        node = _node(target)
        if node is None or not node.alive:
            raise UnavailableError(
                f"{target.label} does not run: nothing was hit.", "run 'chaos drills heal', and run the drill again."
            )
        effect = network.effect_of(target.handle)
        if any(one.covers(effect) for one in _in_force(target)):
            raise UnavailableError(
                f"that is in force on {target.label} already: nothing was hit.",
                "run 'chaos drills heal', and look at 'chaos drills lab status'.",
            )

    def inject(self, target: Target) -> None:
        """Put it into force; a client sees it when this returns. Raises as `check` does, or if it cannot be done."""
        self.check(target)
        cluster = load(target.service)
        assert cluster is not None, "check has found a node of it"
        network.impose(cluster, network.effect_of(target.handle))

    def needs_heal(self, target: Target) -> bool:
        """Whether it is in force, though the lab itself may be gone. Raises `UnavailableError` where its proxy is."""
        _require_proxy(target)
        return network.effect_of(target.handle) in _in_force(target)

    def heal(self, target: Target) -> bool:
        """Lift it; false if it was not in force."""
        return network.lift(target.service, target.handle["network"], network.effect_of(target.handle))

    def wait_healed(self, target: Target, timeout_s: float) -> None:
        """Wait until a client reaches the node; a dead one is no longer this fault's doing."""
        node = _node(target)
        if node is not None and not wait_until(lambda: not node.alive or accepts(node.endpoint), timeout_s, 0.05):
            raise UnavailableError(
                f"{target.label} does not accept connections at {node.endpoint} after {timeout_s:g} s.",
                f"read its log, {node.log}, look at 'chaos drills lab status', and run 'chaos drills heal' again.",
            )


def network_target(cluster: Cluster, effect: Effect, label: str, role: str, able: tuple[str, ...]) -> Target:
    """The target for `effect` on `cluster`, whose network must be one of the kinds `able`.

    Raises `UsageError` if it is not, or there is no such scope; `UnavailableError` if there is no such node.
    """
    network.require_scope(effect.scope)
    node = cluster.node(effect.node)
    if cluster.network not in able:
        wanted = able[0] if len(able) == 1 else network.ISOLABLE
        raise UsageError(
            f"the network of the {cluster.service} lab is {cluster.network}, on which {label} cannot be hit.",
            f"run 'chaos drills lab down {cluster.service}' and 'chaos drills lab up {cluster.service} --network "
            f'{wanted}\', or give the experiment\'s lab control the options {{"network": "{wanted}"}}.',
        )
    if effect.scope == CLIENTS and not any(meant_at(who, CLIENTS) for who in node.listeners):
        raise UsageError(
            f"{label} has no clients but its peers, so nothing would be hit.", "choose the scope all or peers."
        )
    return Target(cluster.service, label, role, {"network": cluster.network, **asdict(effect)})


def _require_proxy(target: Target) -> None:
    """A dead proxy imposes nothing, and yet nobody reaches any node of its lab: that is not healed."""
    cluster = lab_of(target)
    if cluster is not None and cluster.proxy is not None and not is_alive(cluster.proxy):
        raise UnavailableError(
            f"the {target.service} lab's proxy does not run, so no node of it can be reached.",
            f"run 'chaos drills lab down {target.service}', and start the lab again.",
        )


def _node(target: Target) -> Node | None:
    """The written-down node; None if its lab is gone or has no such node."""
    cluster = load(target.service)
    return next((it for it in cluster.nodes if it.id == target.handle["node"]), None) if cluster else None


def _in_force(target: Target) -> list[Effect]:
    return network.in_force(target.service, target.handle["network"])
