"""What is done to the network of one node of a lab: it is cut off, or slowed down, for everybody or for some.

A lab's network is of one kind, chosen when it starts. On a ``plain`` one nothing can be done. On a ``filtered`` one
each node runs as a user of its own, and the kernel's packet filter drops what goes between a node and the others
(`chaosdrills.host.packet_filter`; root only). On a ``proxied`` one a proxy stands before all listeners of all nodes,
and holds back or delays what it passes on (`chaosdrills.host.proxy_control`). ``isolable`` is a wish: filtered where
this machine can do it, else proxied.

A scope says who is meant: a node's ``clients``, its ``peers``, to whom it goes out itself too, or all
(`chaosdrills.host.scopes`). Whatever is done here is in force until it is lifted, whoever dies.
"""

from dataclasses import asdict, dataclass
from typing import Any

from chaosdrills.errors import UsageError
from chaosdrills.host import packet_filter, proxy_control
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.scopes import SCOPES

PLAIN, FILTERED, PROXIED, ISOLABLE = NETWORKS = ("plain", "filtered", "proxied", "isolable")
CUT, SLOW = "cut", "slow"


@dataclass(frozen=True)
class Effect:
    """What is in force on one node: `kind` is `CUT` or `SLOW`, `scope` one of `SCOPES`.

    A slow node's bytes arrive `latency_ms` later, in each direction, give or take up to `jitter_ms`.
    """

    kind: str
    node: int
    scope: str
    latency_ms: float = 0.0
    jitter_ms: float = 0.0

    def covers(self, other: "Effect") -> bool:
        """Whether `other` would add nothing, or could not be told from this one."""
        same = self.kind == other.kind and self.node == other.node
        if self.kind == SLOW:
            return same and bool(set(SCOPES[self.scope]) & set(SCOPES[other.scope]))
        return same and set(SCOPES[other.scope]) <= set(SCOPES[self.scope])


def require_scope(scope: str) -> None:
    """Raise `UsageError` unless `scope` is one of `SCOPES`."""
    if scope not in SCOPES:
        raise UsageError(f"there is no scope {scope!r}.", f"choose one of {', '.join(SCOPES)}.")


def in_force(service: str, network: str) -> list[Effect]:
    """What is in force on the lab of `service`, whose network is of the kind `network`; nothing where it is gone."""
    if network == FILTERED:
        return [Effect(CUT, node, scope) for node, scope in packet_filter.cuts(service)]
    if network == PROXIED:
        return [Effect(**effect) for effect in proxy_control.effects(service)]
    return []


def impose(cluster: Cluster, effect: Effect) -> None:
    """Put `effect` into force; it is when this returns. The caller has seen that the lab's network can do it.

    Raises `UnavailableError` if the packet filter or the proxy does not do it.
    """
    if cluster.network == FILTERED:
        packet_filter.cut(cluster, effect.node, effect.scope)
    else:
        proxy_control.change(cluster.service, "add", asdict(effect))


def lift(service: str, network: str, effect: Effect) -> bool:
    """End `effect`; false if it was not in force. Raises as `impose` does."""
    if network == FILTERED:
        return packet_filter.mend(service, effect.node, effect.scope)
    return network == PROXIED and proxy_control.change(service, "remove", asdict(effect))


def effect_of(handle: dict[str, Any]) -> Effect:
    """The effect that a fault's handle holds under the names of an `Effect`'s parts."""
    return Effect(**{name: handle[name] for name in Effect.__dataclass_fields__ if name in handle})
