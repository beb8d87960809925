"""Which kind of network a lab gets on this machine; see `chaosdrills.host.network`."""

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host import packet_filter
from chaosdrills.host.network import FILTERED, ISOLABLE, NETWORKS, PLAIN, PROXIED
from chaosdrills.host.nodes import Node
from chaosdrills.lab.progress import Progress


def normalise(network: object) -> str | None:
    """The option `network` checked; None if it was not chosen. Raises `UsageError`."""
    if network is not None and network not in NETWORKS:
        raise UsageError(f"there is no network {network!r}.", f"choose one of {', '.join(NETWORKS)}.")
    return None if network is None else str(network)


def choose(wanted: str | None, progress: Progress) -> str:
    """The kind for a lab that starts now. Raises `UnavailableError` if this machine cannot do what is wanted."""
    if wanted not in (FILTERED, ISOLABLE):
        return wanted or PLAIN
    why = packet_filter.why_not()
    if not why:
        return FILTERED
    if wanted == FILTERED:
        raise UnavailableError(
            f"nodes cannot be cut off by packet filter on this machine: {why}.",
            "mend that, or choose the network 'proxied' (--network proxied), which needs nothing.",
        )
    progress(f"a proxy will stand before the nodes, since the packet filter cannot be used: {why}")
    return PROXIED


def suits(wanted: str, actual: str) -> bool:
    """Whether a lab whose network is `actual` will do where `wanted` was asked for."""
    return wanted == actual or (wanted == ISOLABLE and actual in (FILTERED, PROXIED))


def with_own_user(node: Node) -> Node:
    """`node`, to be started as a user of its own."""
    node.uid = packet_filter.FIRST_UID + node.id
    node.argv = [*packet_filter.as_user(node.uid), *node.argv]
    return node
