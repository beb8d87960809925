"""Which ports a Kafka node has on each kind of network, and what its settings say of them.

On a plain network brokers talk to one another at the client listener, as Kafka does unasked. Where nodes can be cut off
(`chaosdrills.host.network`) they have a listener of their own for that, so that clients and peers can be told apart.
"""

from collections.abc import Mapping

from chaosdrills.host.network import PLAIN, PROXIED
from chaosdrills.host.scopes import CLIENT, CONTROLLER, LISTENERS, REPLICATION
from chaosdrills.host.sockets import LOOPBACK

NAMES = {CLIENT: "PLAINTEXT", REPLICATION: "REPLICATION", CONTROLLER: "CONTROLLER"}
OFFSETS = {CLIENT: 0, REPLICATION: 10, CONTROLLER: 100}
BEHIND = 50
"""How far above a proxy's port the node's own lies."""

HIGHEST_OFFSET = max(OFFSETS.values()) + BEHIND


def public_ports(network: str, first: int) -> dict[str, int]:
    """The ports at which others reach a node whose client port is `first`."""
    listeners = (CLIENT, CONTROLLER) if network == PLAIN else LISTENERS
    return {who: first + OFFSETS[who] for who in listeners}


def own_ports(network: str, public: Mapping[str, int]) -> dict[str, int]:
    """The ports behind the proxy at which the node listens itself; empty where there is no proxy."""
    return {who: port + BEHIND for who, port in public.items()} if network == PROXIED else {}


def settings(public: Mapping[str, int], own: Mapping[str, int]) -> dict[str, object]:
    """The broker's settings of its listeners."""
    found: dict[str, object] = {
        "listeners": _listed(own or public),
        "controller.listener.names": NAMES[CONTROLLER],
    }
    if REPLICATION in public:
        found["inter.broker.listener.name"] = NAMES[REPLICATION]
        found["listener.security.protocol.map"] = ",".join(f"{NAMES[who]}:PLAINTEXT" for who in public)
    if own:
        found["advertised.listeners"] = _listed(public)
    return found


def _listed(ports: Mapping[str, int]) -> str:
    return ",".join(f"{NAMES[who]}://{LOOPBACK}:{port}" for who, port in ports.items())
