"""Slow: what a node of a lab receives and sends takes longer on its way, and keeps its order.

`latency_ms` is added in each direction, so that a round trip takes twice that longer; `jitter_ms` makes it differ, up
to so much more or less. The lab's proxy does it (`chaosdrills.host.network`), so it needs a proxied lab. Opening a
connection is not slowed, only what goes over it. Its heal ends the delay; what is under way still comes when it is due.
"""

from chaosdrills.errors import UsageError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.network import NetworkFault, network_target
from chaosdrills.host.network import PROXIED, SLOW, Effect
from chaosdrills.host.nodes import Cluster

LONGEST_MS = 60_000.0
TOWARDS = {"all": "", "peers": " between it and its peers", "clients": " between it and its clients"}


class Slow(NetworkFault):
    """The fault `slow`; see `chaosdrills.faults.fault.Fault`."""

    name = "slow"

    def describe(self, target: Target) -> str:
        """ "slow network of", the target's label, and by how much."""
        latency_ms, jitter_ms = target.handle["latency_ms"], target.handle["jitter_ms"]
        jitter = f" +/- {jitter_ms:g}" if jitter_ms else ""
        return f"slow network of {target.label}: {latency_ms:g}{jitter} ms each way{TOWARDS[target.handle['scope']]}"


def slow_target(
    cluster: Cluster, node_id: int, label: str, role: str, latency_ms: float, jitter_ms: float = 0.0, scope: str = "all"
) -> Target:
    """The target for slowing node `node_id` of `cluster` down towards those whom `scope` means.

    Raises `UsageError` if the lab's network cannot do it, for no such scope, and for a latency that is not above 0 or a
    jitter that is larger; `UnavailableError` if there is no such node.
    """
    if not 0 < latency_ms <= LONGEST_MS or not 0 <= jitter_ms <= latency_ms:
        raise UsageError(
            f"latency_ms {latency_ms:g} with jitter_ms {jitter_ms:g} cannot be.",
            f"give a latency above 0, up to {LONGEST_MS:g}, and a jitter from 0 up to the latency.",
        )
    return network_target(cluster, Effect(SLOW, node_id, scope, latency_ms, jitter_ms), label, role, (PROXIED,))
