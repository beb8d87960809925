"""Which ports the nodes of a Redis lab have: those of the servers, and those of the sentinels.

Replicas and sentinels come in at a server's own port, as clients do, and are told apart by who they are
(`chaosdrills.host.scopes`), so a cluster looks the same on every kind of network. Where a proxy stands before them,
nodes listen themselves at other ports, and tell one another those of the proxy.
"""

from collections.abc import Mapping

from chaosdrills.host.network import PROXIED
from chaosdrills.host.scopes import REDIS, SENTINEL

SERVERS = (1, 2, 3)
SENTINELS = (4, 5, 6)
SENTINEL_OFFSET = 20
BEHIND = 50
"""How far above a proxy's port the node's own lies."""

HIGHEST_OFFSET = SENTINEL_OFFSET + len(SENTINELS) - 1 + BEHIND


def public_ports(base_port: int, node_id: int) -> dict[str, int]:
    """The port at which others reach a node."""
    if node_id in SERVERS:
        return {REDIS: base_port + SERVERS.index(node_id)}
    return {SENTINEL: base_port + SENTINEL_OFFSET + SENTINELS.index(node_id)}


def own_ports(network: str, public: Mapping[str, int]) -> dict[str, int]:
    """The port behind the proxy at which a node listens itself; empty where there is no proxy."""
    return {who: port + BEHIND for who, port in public.items()} if network == PROXIED else {}


def all_ports(network: str, base_port: int) -> list[int]:
    """Every port of a lab, in the order in which they are reported as taken."""
    public = [public_ports(base_port, node_id) for node_id in (*SERVERS, *SENTINELS)]
    own = [own_ports(network, each) for each in public]
    return [port for each in (*public, *own) for port in each.values()]
