"""What metadata says of partitions: which of them lack replicas, a leader, or enough in-sync replicas for a write.

All of it is the controller's view: a broker that was killed counts as in sync until its session has timed out
(``broker.session.timeout.ms``, 9 s by default).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.kafka.client import Admin, ClusterView, Connection, Partition
from chaosdrills.kafka.roles import find_partition, settled

MIN_ISR = "min.insync.replicas"
MOST_NAMED = 5


@dataclass(frozen=True)
class Placed:
    """A partition of `topic`."""

    topic: str
    partition: Partition

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition.id}"


def partitions_of(view: ClusterView, topic: str = "") -> list[Placed]:
    """All partitions of `topic`, or of every topic. Raises `UnavailableError` if there is no such topic."""
    if topic and topic not in view.topics:
        raise UnavailableError(f"the cluster has no topic {topic}.", "correct the topic's name.")
    names = [topic] if topic else sorted(view.topics)
    return [Placed(name, partition) for name in names for partition in view.topics[name]]


def min_isr_of(admin: Admin, placed: Iterable[Placed], timeout_s: float) -> dict[str, int]:
    """How many in-sync replicas each topic asks for (``min.insync.replicas``), by topic. Raises `DrillError`."""
    configs = admin.topic_configs(sorted({it.topic for it in placed}), timeout_s)
    return {topic: int(config[MIN_ISR]) for topic, config in configs.items()}


def under_replicated(placed: Iterable[Placed]) -> list[Placed]:
    """Those with a replica that is not in sync."""
    return [it for it in placed if it.partition.under_replicated]


def offline(placed: Iterable[Placed]) -> list[Placed]:
    """Those without a leader."""
    return [it for it in placed if it.partition.leader is None]


def not_preferred(placed: Iterable[Placed]) -> list[Placed]:
    """Those that another than their first replica leads, or nobody."""
    return [it for it in placed if not it.partition.preferred]


def under_min_isr(placed: Iterable[Placed], min_isr: Mapping[str, int]) -> list[Placed]:
    """Those with fewer in-sync replicas than their topic asks for: they refuse writes with acks=all."""
    return [it for it in placed if len(it.partition.in_sync) < min_isr[it.topic]]


def named(placed: list[Placed]) -> str:
    """The first few by name, for people; empty for none."""
    names = ", ".join(str(it) for it in placed[:MOST_NAMED])
    return f"{names} and {len(placed) - MOST_NAMED} more" if len(placed) > MOST_NAMED else names


def wait_in_sync(
    connection: Connection, placed: tuple[str, int], bounds: tuple[int, int], timeout_s: float
) -> Partition:
    """The partition `placed` (topic, number), once its in-sync replicas are as many as `bounds` (least, most) allow.

    Raises `UsageError` for bounds that nothing meets, `UnavailableError` if there is no such partition, or naming the
    replicas that are in sync after `timeout_s`.
    """
    (topic, number), (least, most) = placed, bounds
    if not 0 <= least <= most:
        raise UsageError(f"no number is at least {least} and at most {most}.", "give at_least, at_most, or both.")
    admin = Admin(connection)

    def look() -> Partition | str:
        found = find_partition(admin, topic, number)
        in_sync = ", ".join(map(str, found.in_sync)) or "none"
        return (
            found if least <= len(found.in_sync) <= most else f"the replicas in sync of {topic}/{number} are {in_sync}"
        )

    return settled(look, timeout_s)
