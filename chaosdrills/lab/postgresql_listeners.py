"""Which ports the nodes of a PostgreSQL lab have: PostgreSQL's, that of Patroni's REST, and etcd's.

Standbys come in at PostgreSQL's own port, as its clients do, and Patroni asks the REST of others as users may: they are
told apart by who they are (`chaosdrills.host.scopes`), so a cluster looks the same on every kind of network. Where a
proxy stands before all of them, nodes listen themselves at other ports, and tell one another those of the proxy.
"""

from collections.abc import Mapping

from chaosdrills.host.network import PROXIED
from chaosdrills.host.scopes import ETCD, REST, SQL

SERVERS = (1, 2)
REST_OFFSET, ETCD_OFFSET, RAFT_OFFSET = 20, 40, 41
BEHIND = 50
"""How far above a proxy's port the node's own lies."""

HIGHEST_OFFSET = ETCD_OFFSET + BEHIND


def server_ports(base_port: int, node_id: int) -> dict[str, int]:
    """The ports at which others reach a server."""
    first = base_port + SERVERS.index(node_id)
    return {SQL: first, REST: first + REST_OFFSET}


def etcd_ports(base_port: int) -> dict[str, int]:
    """The port at which others reach etcd. It has another one, for members that this lab does not have."""
    return {ETCD: base_port + ETCD_OFFSET}


def own_ports(network: str, public: Mapping[str, int]) -> dict[str, int]:
    """The ports behind the proxy at which a node listens itself; empty where there is no proxy."""
    return {who: port + BEHIND for who, port in public.items()} if network == PROXIED else {}


def all_ports(network: str, base_port: int) -> list[int]:
    """Every port of a lab, in the order in which they are reported as taken."""
    first = [server_ports(base_port, node_id) for node_id in SERVERS]
    public = [*(each[SQL] for each in first), *(each[REST] for each in first), base_port + ETCD_OFFSET]
    own = own_ports(network, {str(port): port for port in public})
    return [*public, base_port + RAFT_OFFSET, *own.values()]
