"""Whether a cluster is whole: every broker there, every replica in sync, every partition led by its first replica."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.lab import is_lab, reachable_lab
from chaosdrills.kafka.admin import ClusterAdmin
from chaosdrills.kafka.client import ClusterView, Connection

VIEW_TIMEOUT_S = 3.0
POLL_S = 0.2
ELECT_AGAIN_S = 2.0


@dataclass(frozen=True)
class Health:
    """What metadata says of a cluster. Counts are of partitions, `missing` and `silent` are ids of brokers.

    `brokers`: how many are registered. `missing`: expected, or holding a replica, and not registered. `silent`:
    registered, but not answering or not seeing the cluster whole itself (empty where nobody asked them).
    `under_replicated`: with fewer in-sync replicas than replicas. `offline`: without a leader. `not_preferred`: led by
    another than their first replica.
    """

    brokers: int
    missing: tuple[int, ...] = ()
    silent: tuple[int, ...] = ()
    under_replicated: int = 0
    offline: int = 0
    not_preferred: int = 0

    @property
    def replicated(self) -> bool:
        """Whether all is there and in sync, whoever leads."""
        return not (self.missing or self.silent or self.under_replicated or self.offline)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.replicated and not self.not_preferred

    def lacks(self) -> str:
        """What is missing, in words; empty if nothing is."""
        parts = [
            self.missing and f"missing {_brokers(self.missing)}",
            self.silent and f"no whole view from {_brokers(self.silent)}",
            self.offline and f"{self.offline} partitions without a leader",
            self.under_replicated and f"{self.under_replicated} under-replicated partitions",
            self.not_preferred and f"{self.not_preferred} partitions not led by their preferred replica",
        ]
        return ", ".join(part for part in parts if part)


def assess(view: ClusterView, expected: Iterable[int] = ()) -> Health:
    """The health that `view` shows, where the brokers `expected` and all that hold a replica should be there."""
    partitions = [partition for topic in view.topics.values() for partition in topic]
    wanted = {*expected, *(broker for partition in partitions for broker in partition.replicas)}
    return Health(
        brokers=len(view.brokers),
        missing=tuple(sorted(wanted - view.brokers.keys())),
        under_replicated=sum(it.under_replicated for it in partitions),
        offline=sum(it.leader is None for it in partitions),
        not_preferred=sum(it.leader is not None and not it.preferred for it in partitions),
    )


def expected_of(bootstrap_servers: str) -> frozenset[int]:
    """The brokers that should be there: all nodes of the lab, if it is the lab; elsewhere nobody says."""
    if not is_lab("kafka", bootstrap_servers):
        return frozenset()
    return frozenset(node.id for node in reachable_lab("kafka", bootstrap_servers).nodes)


def look(connection: Connection, expected: Iterable[int] = (), topic: str | None = None) -> Health:
    """The cluster's health as every one of its brokers sees it; leaders that are not preferred count in `topic` only.

    Metadata of one broker is not enough: it lists a dead broker as registered and in sync until its session times out
    (9 s), so each registered broker must answer at its own address and see the same whole cluster. Raises `DrillError`
    if no broker answers at all.
    """
    view = ClusterAdmin(connection).view(VIEW_TIMEOUT_S)
    health = assess(view, expected)
    if topic is not None:
        ours = assess(replace(view, topics={name: it for name, it in view.topics.items() if name == topic}))
        health = replace(health, not_preferred=ours.not_preferred)
    if not health.replicated:
        return health
    return replace(health, silent=tuple(sorted(_silent(connection, view, expected))))


def wait_whole(connection: Connection, expected: Iterable[int], timeout_s: float, topic: str = "") -> Health:
    """Wait until the cluster is whole, electing preferred leaders once all replicas are in sync; its health then.

    On a cluster that is not the lab (`expected` is empty) leaders are elected for `topic` alone, and those of other
    topics are left as they are, preferred or not. Raises `UnavailableError` with what is still missing after
    `timeout_s`, other `DrillError` if the brokers refuse us.
    """
    expected = tuple(expected)
    deadline = time.monotonic() + timeout_s
    ours = None if expected else topic
    elect = _every(ELECT_AGAIN_S, lambda: ClusterAdmin(connection).elect_preferred_leaders(ours, VIEW_TIMEOUT_S))
    while True:
        try:
            health = look(connection, expected, ours)
            if health.whole:
                return health
            lacks = health.lacks()
            if health.replicated:
                elect()
        except UnavailableError as error:
            lacks = error.message.rstrip(".")
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"the Kafka cluster is not whole after {timeout_s:g} s: {lacks}.",
                "look at the brokers' logs; 'chaos drills heal' starts brokers of the lab that a drill has killed.",
            )
        time.sleep(POLL_S)


def _silent(connection: Connection, view: ClusterView, expected: Iterable[int]) -> Iterable[int]:
    for broker, address in view.brokers.items():
        try:
            own = ClusterAdmin(replace(connection, bootstrap_servers=address)).view(VIEW_TIMEOUT_S)
        except UnavailableError:
            yield broker
            continue
        if own.cluster_id != view.cluster_id or not assess(own, expected).replicated:
            yield broker


def _every(interval_s: float, action: Callable[[], None]) -> Callable[[], None]:
    """`action`, done at most once in `interval_s` however often it is called."""
    last_s = -interval_s

    def limited() -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= interval_s:
            last_s = time.monotonic()
            action()

    return limited


def _brokers(ids: tuple[int, ...]) -> str:
    return f"broker{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"
