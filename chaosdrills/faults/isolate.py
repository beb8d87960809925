"""Isolate: a node of a lab is cut off, silently and in both directions, from everybody or from some.

Nobody is told: what is sent is lost or waits, on established connections too, and nothing is refused. How that is
done, what it needs and what the scopes mean is in `chaosdrills.host.network`. Its heal lifts the cut.
"""

from chaosdrills.faults.fault import Target
from chaosdrills.faults.network import FROM, NetworkFault, network_target
from chaosdrills.host.network import CUT, FILTERED, PROXIED, Effect
from chaosdrills.host.nodes import Cluster


class Isolate(NetworkFault):
    """The fault `isolate`; see `chaosdrills.faults.fault.Fault`."""

    name = "isolate"

    def describe(self, target: Target) -> str:
        """ "isolation of", the target's label, and from whom if not from all."""
        return f"isolation of {target.label}{FROM[target.handle['scope']]}"


def isolate_target(cluster: Cluster, node_id: int, label: str, role: str, scope: str = "all") -> Target:
    """The target for cutting node `node_id` of `cluster` off from those whom `scope` means.

    Raises `UsageError` if the lab's network cannot do it, or there is no such scope; `UnavailableError` if there is no
    such node.
    """
    return network_target(cluster, Effect(CUT, node_id, scope), label, role, (FILTERED, PROXIED))
