"""Who comes in at which listener of a node, and whom each scope of an isolation means.

A node's *peers* are the other nodes of its lab, its *clients* all others. Kafka's nodes have a listener for each;
PostgreSQL's standbys and clients come in at the same one, as Redis's replicas, sentinels and clients do, and are told
apart by whether a node of the lab has made the connection.
"""

CLIENT, REPLICATION, CONTROLLER = LISTENERS = ("client", "replication", "controller")
SQL, REST, ETCD = "sql", "rest", "etcd"
REDIS, SENTINEL = "redis", "sentinel"

CLIENTS, PEERS = PARTIES = ("clients", "peers")
PARTIES_AT: dict[str, tuple[str, ...]] = {
    CLIENT: (CLIENTS,),
    REPLICATION: (PEERS,),
    CONTROLLER: (PEERS,),
    SQL: PARTIES,
    REST: PARTIES,
    ETCD: (PEERS,),
    REDIS: PARTIES,
    SENTINEL: PARTIES,
}
SCOPES: dict[str, tuple[str, ...]] = {"all": PARTIES, "peers": (PEERS,), "clients": (CLIENTS,)}


def meant_at(listener: str, scope: str) -> tuple[str, ...]:
    """Which of those who come in at `listener` are in `scope`."""
    return tuple(party for party in PARTIES_AT[listener] if party in SCOPES[scope])


def is_meant(listener: str, scope: str, from_node: bool) -> bool:
    """Whether a connection to `listener` is in `scope`; `from_node`: a node of the lab has made it."""
    parties = PARTIES_AT[listener]
    party = parties[0] if len(parties) == 1 else PEERS if from_node else CLIENTS
    return party in SCOPES[scope]
