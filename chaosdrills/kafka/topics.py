"""The topic of a drill: made with the settings it needs, or found with them."""

import time

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import Admin, ClusterView, Partition

POLL_S = 0.05


def prepare(admin: Admin, arguments: Arguments, timeout_s: float) -> bool:
    """Make the topic of `arguments`, or check the one that exists; it then has a leader for every partition.

    Returns whether it was made. Raises `UsageError` for too few brokers, or a topic with other settings.
    """
    deadline = time.monotonic() + timeout_s
    view = admin.view(timeout_s)
    made = False
    if arguments.topic not in view.topics:
        _require_brokers(view, arguments)
        made = admin.create_topic(
            arguments.topic, arguments.partitions, arguments.replication_factor, arguments.config, timeout_s
        )
    partitions = await_leaders(admin, arguments.topic, deadline)
    if not made:
        _require_same(admin, arguments, partitions, timeout_s)
    return made


def await_leaders(admin: Admin, topic: str, deadline: float) -> tuple[Partition, ...]:
    """Wait until every partition of `topic` has a leader, up to the monotonic instant `deadline`."""
    while True:
        partitions = admin.view(max(0.5, deadline - time.monotonic()), topic).topics.get(topic, ())
        without = [partition.id for partition in partitions if partition.leader is None]
        if partitions and not without:
            return partitions
        if time.monotonic() >= deadline:
            what = f"partitions {without} have no leader" if partitions else "it is not in the cluster's metadata"
            raise UnavailableError(
                f"the topic {topic} cannot be used in time: {what}.", "look at the brokers; one may be down for good."
            )
        time.sleep(POLL_S)


def _require_brokers(view: ClusterView, arguments: Arguments) -> None:
    if len(view.brokers) < arguments.replication_factor:
        raise UsageError(
            f"replication_factor is {arguments.replication_factor}, the cluster has {len(view.brokers)} brokers.",
            "start more brokers, or lower replication_factor and min_insync_replicas.",
        )


def _require_same(admin: Admin, arguments: Arguments, partitions: tuple[Partition, ...], timeout_s: float) -> None:
    """Refuse a topic that exists with other settings: figures would not be those of the drill that was asked for."""
    found = {
        "partitions": str(len(partitions)),
        "replication_factor": "/".join(sorted({str(len(partition.replicas)) for partition in partitions})),
        **admin.topic_config(arguments.topic, timeout_s),
    }
    wanted = {
        "partitions": str(arguments.partitions),
        "replication_factor": str(arguments.replication_factor),
        **arguments.config,
    }
    differing = [
        f"{name} is {found.get(name)}, not {value}" for name, value in wanted.items() if found.get(name) != value
    ]
    if differing:
        raise UsageError(
            f"the topic {arguments.topic} exists with other settings: {'; '.join(differing)}.",
            "name another topic, remove this one, or give its settings as arguments of the workload.",
        )
