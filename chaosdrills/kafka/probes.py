"""Probes of Kafka clusters, for experiments. They change nothing and serve any cluster, with or without a drill.

All take the cluster from the experiment's configuration (`chaosdrills.kafka.admin.connection_of`), answer a flat object
without null for tolerances such as ``{"type": "range", "target": "under_replicated", "range": [0, 0]}``, and fail where
they cannot know. Names of partitions and ids of brokers are texts, for people. What metadata says is the controller's
view: a broker that was just killed still counts as in sync until its session has timed out (9 s by default).

As in `chaosdrills.kafka.actions`, what needs the driver is imported when it is called.
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

from chaoslib.types import Configuration, Secrets

from chaosdrills.kafka.actions import drill_topic
from chaosdrills.observe.actions import refusing, typed

__all__ = [
    "active_controller",
    "brokers",
    "cluster_health",
    "cluster_whole",
    "consumer_lag",
    "in_sync_replicas",
    "offline_partitions",
    "partition_leader",
    "partition_leaders",
    "under_min_isr",
    "under_replicated",
]


def cluster_health(
    controller: bool = True, timeout_s: float = 10.0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """Whether the cluster is healthy, as one probe: all brokers answer, every replica is in sync, all is led.

    Returns `{"healthy": true, "brokers": 3, "missing": 0, "silent": 0, "controller": 2, "partitions": 60,
    "under_replicated": 0, "under_min_isr": 0, "offline": 0, "not_preferred": 0, "lacks": ""}`. `missing` brokers hold a
    replica (or are the lab's) and are not registered; `silent` ones do not answer, or see another cluster than the
    rest. `controller` is -1 while none is active; with the argument `controller` false nobody is asked for it (that
    needs the right to describe the cluster) and it is left out; so is `under_min_isr` where no broker tells what topics
    ask for. `not_preferred` leaders do not make it unhealthy.
    Fails only if no broker answers, or we are refused.
    """
    with refusing():
        from chaosdrills.kafka.admin import connection_of
        from chaosdrills.kafka.overview import overview_of

        connection = connection_of(configuration, secrets)
        return overview_of(connection, float(timeout_s), bool(controller)).as_dict()


def cluster_whole(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Whether all brokers are there, all replicas in sync, and all partitions led by their preferred replica.

    Returns `{"whole": true, "brokers": 3, "under_replicated": 0, "offline": 0, "not_preferred": 0, "lacks": ""}`;
    `lacks` says in words what is missing. Fails only if no broker answers.
    """
    with refusing():
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


def brokers(timeout_s: float = 10.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Which brokers are registered: `{"brokers": 3, "ids": "1, 2, 3"}`."""
    with refusing():
        from chaosdrills.kafka.admin import connection_of
        from chaosdrills.kafka.client import Admin

        view = Admin(connection_of(configuration, secrets)).view(float(timeout_s))
        return {"brokers": len(view.brokers), "ids": ", ".join(map(str, sorted(view.brokers)))}


def active_controller(timeout_s: float = 10.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Which node is the active controller of a KRaft cluster: `{"controller": 2}`.

    Any broker is asked, and passes it on to the controller; metadata does not tell. Waits for one while it is elected,
    and fails if there is none within `timeout_s`. Needs the right to describe the cluster.
    """
    with refusing():
        from chaosdrills.kafka import quorum
        from chaosdrills.kafka.admin import connection_of

        return {"controller": quorum.active_controller(connection_of(configuration, secrets), float(timeout_s))}


def partition_leader(
    topic: str = "", partition: int = 0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """Which broker leads a partition of `topic` (empty: the drill's own).

    Returns `{"leader": 2, "preferred": 2, "in_sync": 3, "replicas": 3}`; `leader` is -1 while there is none.
    """
    with refusing():
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


def partition_leaders(
    topic: str = "", timeout_s: float = 10.0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """Which brokers lead the partitions of `topic` (empty: the drill's own).

    Returns `{"partitions": 2, "offline": 0, "not_preferred": 0, "leaders": 2, "leader_of_0": 1, "leader_of_1": 3}`:
    `leaders` counts the brokers that lead one, and a leader is -1 while there is none.
    """
    with refusing():
        from chaosdrills.kafka import partitions

        _, found = _look(configuration, secrets, _named(topic, configuration), timeout_s)
        leaders = {it.partition.id: it.partition.leader for it in found}
        return {
            "partitions": len(found),
            "offline": len(partitions.offline(found)),
            "not_preferred": len(partitions.not_preferred(found)),
            "leaders": len(set(leaders.values()) - {None}),
            **{f"leader_of_{number}": -1 if leader is None else leader for number, leader in leaders.items()},
        }


def in_sync_replicas(
    topic: str = "",
    partition: int = 0,
    timeout_s: float = 10.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """The in-sync replicas of a partition of `topic` (empty: the drill's own).

    Returns `{"in_sync": 2, "replicas": 3, "min_in_sync": 2, "spare": 0, "ids": "1, 3", "missing_ids": "2"}`: `spare` is
    how many more may go until writes with acks=all are refused, below 0 where they are.
    """
    with refusing():
        from chaosdrills.kafka.partitions import min_isr_of
        from chaosdrills.kafka.roles import find_partition

        name = _named(topic, configuration)
        admin, placed = _look(configuration, secrets, name, timeout_s)
        found = find_partition(admin, name, int(partition))
        least = min_isr_of(admin, placed, float(timeout_s))[name]
        return {
            "in_sync": len(found.in_sync),
            "replicas": len(found.replicas),
            "min_in_sync": least,
            "spare": len(found.in_sync) - least,
            "ids": ", ".join(map(str, sorted(found.in_sync))),
            "missing_ids": ", ".join(map(str, sorted(set(found.replicas) - set(found.in_sync)))),
        }


def under_replicated(
    topic: str = "", timeout_s: float = 10.0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """How many partitions of `topic` (empty: of all) have a replica that is not in sync.

    Returns `{"under_replicated": 1, "partitions": 60, "which": "orders/3"}`.
    """
    with refusing():
        from chaosdrills.kafka import partitions

        _, found = _look(configuration, secrets, topic, timeout_s)
        hit = partitions.under_replicated(found)
        return {"under_replicated": len(hit), "partitions": len(found), "which": partitions.named(hit)}


def under_min_isr(
    topic: str = "", timeout_s: float = 10.0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """How many partitions of `topic` (empty: of all) have fewer in-sync replicas than min.insync.replicas.

    They refuse writes with acks=all. Returns `{"under_min_isr": 1, "partitions": 60, "which": "orders/3"}`.
    """
    with refusing():
        from chaosdrills.kafka import partitions

        admin, found = _look(configuration, secrets, topic, timeout_s)
        hit = partitions.under_min_isr(found, partitions.min_isr_of(admin, found, float(timeout_s)))
        return {"under_min_isr": len(hit), "partitions": len(found), "which": partitions.named(hit)}


def offline_partitions(
    topic: str = "", timeout_s: float = 10.0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """How many partitions of `topic` (empty: of all) have no leader: nobody can read or write them.

    Returns `{"offline": 1, "partitions": 60, "which": "orders/3"}`.
    """
    with refusing():
        from chaosdrills.kafka import partitions

        _, found = _look(configuration, secrets, topic, timeout_s)
        hit = partitions.offline(found)
        return {"offline": len(hit), "partitions": len(found), "which": partitions.named(hit)}


def consumer_lag(
    group: str = "",
    topic: str = "",
    timeout_s: float = 10.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """How far a consumer group is behind in `topic`, in records and in seconds (both empty: the drill's own).

    Returns `{"lag_records": 120, "lag_s": 3.2, "worst_partition": 4, "worst_records": 70, "partitions": 6}`:
    `lag_records` over all partitions; `lag_s` the age of the oldest record, by its timestamp, that the group has not
    committed, which lies in `worst_partition`; `worst_records` is the lag there. Fails if the topic is unknown, or the
    group has committed nothing for it: a group that does not exist looks the same.
    """
    with refusing():
        from chaosdrills.errors import UsageError
        from chaosdrills.kafka.admin import connection_of
        from chaosdrills.kafka.lag import lag_of

        group = group or str((configuration or {}).get("kafka_group") or "")
        if not group:
            raise UsageError("the lag of no group cannot be found.", "give 'group'.")
        name = _named(topic, configuration)
        lags = lag_of(connection_of(configuration, secrets), group, name, float(timeout_s))
        worst = max(lags, key=lambda partition: (lags[partition].age_s, lags[partition].records))
        return {
            "lag_records": sum(lag.records for lag in lags.values()),
            "lag_s": round(lags[worst].age_s, 3),
            "worst_partition": worst,
            "worst_records": lags[worst].records,
            "partitions": len(lags),
        }


def _named(topic: str, configuration: Configuration) -> str:
    """`topic`, or the drill's own. Raises `UsageError` if there is neither."""
    from chaosdrills.errors import UsageError

    name = topic or drill_topic(configuration)
    if not name:
        raise UsageError(
            "there is no topic to look at.", "give 'topic', or run with the observe control, which says the drill's."
        )
    return name


def _look(configuration: Configuration, secrets: Secrets, topic: str, timeout_s: float) -> tuple:
    """An `Admin` and the partitions of `topic`, or of all topics."""
    from chaosdrills.errors import UnavailableError
    from chaosdrills.kafka.admin import connection_of
    from chaosdrills.kafka.client import Admin
    from chaosdrills.kafka.partitions import partitions_of

    admin = Admin(connection_of(configuration, secrets))
    found = partitions_of(admin.view(float(timeout_s)), topic)
    if not found:
        raise UnavailableError(
            "no topic can be seen: the cluster has none, or this user may describe none.",
            "give this user the right to describe topics; without it nothing is known of them.",
        )
    return admin, found


typed(__name__)
