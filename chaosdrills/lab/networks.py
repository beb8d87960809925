"""Which kind of network a lab gets on this machine; see `chaosdrills.host.network`."""

from collections.abc import Callable

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


def choose(wanted: str | None, progress: Progress, also: Callable[[], str] = lambda: "") -> str:
    """The kind for a lab that starts now. Raises `UnavailableError` if this machine cannot do what is wanted.

    `also` says why a packet filter would not do for this service; empty if it does.
    """
    if wanted not in (FILTERED, ISOLABLE):
        return wanted or PLAIN
    why = packet_filter.why_not() or also()
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


def with_own_user(node: Node, argv_as: Callable[[int], list[str]] | None = None) -> Node:
    """`node`, to be started as a user of its own; `argv_as` says how, if not as everything else is."""
    node.uid = packet_filter.FIRST_UID + node.id
    node.argv = argv_as(node.uid) if argv_as else [*packet_filter.as_user(node.uid), *node.argv]
    return node
