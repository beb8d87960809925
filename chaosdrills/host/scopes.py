"""Which listeners of a node each scope of an isolation means."""

CLIENT, REPLICATION, CONTROLLER = LISTENERS = ("client", "replication", "controller")
PEERS = (REPLICATION, CONTROLLER)
"""The listeners that nodes use among themselves, and nobody else."""

SCOPES = {"all": LISTENERS, "peers": PEERS, "clients": (CLIENT,)}
