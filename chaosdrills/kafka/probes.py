"""Probes of Kafka clusters, for experiments. They change nothing and serve any cluster.

As in `chaosdrills.kafka.actions`, what needs the driver is imported when it is called.
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

from chaoslib.types import Configuration, Secrets

from chaosdrills.kafka.actions import drill_topic, failing

__all__ = ["cluster_whole", "partition_leader"]


def cluster_whole(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Whether all brokers are there, all replicas in sync, and all partitions led by their preferred replica.

    Returns `{"whole": true, "brokers": 3, "under_replicated": 0, "offline": 0, "not_preferred": 0, "lacks": ""}`;
    `lacks` says in words what is missing. Fails only if no broker answers.
    """
    with failing():
        from chaosdrills.kafka import health
        from chaosdrills.kafka.admin import connection_of

        connection = connection_of(configuration, secrets)
        found = health.look(connection, health.expected_of(connection.bootstrap_servers))
        return {
            "whole": found.whole,
            "brokers": found.brokers,
            "under_replicated": found.under_replicated,
            "offline": found.offline,
            "not_preferred": found.not_preferred,
            "lacks": found.lacks(),
        }


def partition_leader(
    topic: str = "", partition: int = 0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """Which broker leads a partition of `topic` (empty: the drill's own).

    Returns `{"leader": 2, "preferred": 2, "in_sync": 3, "replicas": 3}`; `leader` is -1 while there is none.
    """
    with failing():
        from chaosdrills.kafka.admin import connection_of
        from chaosdrills.kafka.client import Admin
        from chaosdrills.kafka.roles import Wish, find_partition

        wish = Wish("leader", topic or drill_topic(configuration), int(partition))
        found = find_partition(Admin(connection_of(configuration, secrets)), wish.topic, wish.partition)
        return {
            "leader": -1 if found.leader is None else found.leader,
            "preferred": found.replicas[0],
            "in_sync": len(found.in_sync),
            "replicas": len(found.replicas),
        }
