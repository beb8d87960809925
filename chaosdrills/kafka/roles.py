"""Which brokers a role means now: the leader of a partition, a follower or all, the active controller, any, one.

On the lab, and through metadata on any other cluster.
"""

import importlib
import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.kafka.client import Admin, Connection, Partition

ROLES = ("leader", "follower", "followers", "controller", "random", "id")
IN_PARTITION = ("leader", "follower", "followers")
NO_BROKER = -1
SETTLE_S = 30.0
VIEW_TIMEOUT_S = 3.0
POLL_S = 0.1

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Chosen:
    """A node, and what a reader calls it: "broker 2 (leader of t/0)"."""

    node_id: int
    label: str


@dataclass(frozen=True)
class Wish:
    """What was asked for: a `role` of `ROLES`, and what it needs.

    `topic` and `partition` for ``leader``, ``follower`` (the first of them) and ``followers`` (all of them, the only
    role that means more than one broker); `broker_id` for ``id``; `seed` for ``random``, 0 to draw one.
    """

    role: str
    topic: str = ""
    partition: int = 0
    broker_id: int = NO_BROKER
    seed: int = 0

    def __post_init__(self) -> None:
        require_role(self.role, self.broker_id)
        if self.role in IN_PARTITION and not self.topic:
            raise UsageError(
                f"the {self.role} of no topic cannot be found.",
                "give 'topic', or run with the observe control, which says the drill's topic.",
            )


def require_role(role: str, broker_id: int) -> None:
    """Raise `UsageError` unless `role` is one of `ROLES`, and ``id`` comes with an id."""
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}.", f"choose one of {', '.join(ROLES)}.")
    if role == "id" and broker_id < 0:
        raise UsageError("the role 'id' needs 'broker_id'.", "give the id of a broker, 0 or above.")


def choose(wish: Wish, cluster: Cluster | None, connection: Connection) -> list[Chosen]:
    """The brokers that `wish` means now: nodes of the lab `cluster`, or of a cluster elsewhere (None).

    Waits (30 s) for a leader or a controller while one is elected. Raises `UnavailableError` if there is none, or no
    such topic or partition.
    """
    if wish.role in IN_PARTITION:
        return in_partition(wish, partition_of(connection, wish.topic, wish.partition))
    if wish.role == "controller":
        node_id = active_controller(cluster) if cluster is not None else controller_elsewhere(connection)
        return [Chosen(node_id, f"broker {node_id} (active controller)")]
    known = sorted(Admin(connection).view(VIEW_TIMEOUT_S).brokers) if cluster is None else _running(cluster)
    if wish.role == "random":
        return [_at_random(wish.seed, known)]
    if cluster is not None:
        cluster.node(wish.broker_id)
    elif wish.broker_id not in known:
        there = ", ".join(map(str, known))
        raise UnavailableError(f"the cluster has no broker {wish.broker_id}.", f"choose one of {there}.")
    return [Chosen(wish.broker_id, f"broker {wish.broker_id}")]


def in_partition(wish: Wish, partition: Partition) -> list[Chosen]:
    """The brokers that a role of `IN_PARTITION` means, where the partition is as given and has a leader."""
    if wish.role == "leader":
        return [Chosen(it, f"broker {it} (leader of {_name(wish)})") for it in (partition.leader,) if it is not None]
    followers = [broker for broker in partition.replicas if broker != partition.leader]
    if not followers:
        raise UnavailableError(f"{_name(wish)} has no followers.", "use a topic with a replication factor above 1.")
    chosen = [Chosen(broker, f"broker {broker} (follower of {_name(wish)})") for broker in followers]
    return chosen[:1] if wish.role == "follower" else chosen


def controller_elsewhere(connection: Connection, timeout_s: float = SETTLE_S) -> int:
    """The active controller of a cluster that is not the lab. Raises `UnavailableError` if it cannot be known."""
    try:
        quorum = importlib.import_module("chaosdrills.kafka.quorum")
    except ImportError as error:
        raise UnavailableError(
            "this version cannot tell the active controller of a cluster that is not the lab.",
            "use another role, or name the broker with the role 'id'.",
        ) from error
    return int(quorum.active_controller(connection, timeout_s))


def partition_of(connection: Connection, topic: str, partition: int, timeout_s: float = SETTLE_S) -> Partition:
    """The partition as metadata shows it, once it has a leader. Raises `UnavailableError` after `timeout_s`."""
    admin = Admin(connection)

    def look() -> Partition | str:
        found = find_partition(admin, topic, partition)
        return found if found.leader is not None else f"{topic}/{partition} has no leader"

    return settled(look, timeout_s)


def find_partition(admin: Admin, topic: str, partition: int) -> Partition:
    """The partition as metadata shows it now, leader or not. Raises `UnavailableError` if there is no such one.

    Asks for all topics: a broker may create one that it is asked for by name.
    """
    partitions = admin.view(VIEW_TIMEOUT_S).topics.get(topic, ())
    for each in partitions:
        if each.id == partition:
            return each
    has = f"it has partitions 0 to {len(partitions) - 1}" if partitions else "there is no such topic"
    raise UnavailableError(f"the cluster has no partition {topic}/{partition}: {has}.", "correct topic or partition.")


def active_controller(cluster: Cluster, timeout_s: float = SETTLE_S) -> int:
    """The node that is the active controller, by what the nodes that run have written down of the quorum's epochs.

    Metadata does not tell: what it calls controller is any broker. Raises `UnavailableError` after `timeout_s`.
    """

    def look() -> int | str:
        alive = {node.id: _quorum_state(node) for node in cluster.nodes if node.alive}
        states = [state for state in alive.values() if state]
        newest = max((epoch for epoch, _ in states), default=-1)
        leaders = {leader for epoch, leader in states if epoch == newest and leader in alive}
        return leaders.pop() if leaders else "no controller is active"

    return settled(look, timeout_s)


def _quorum_state(node: Node) -> tuple[int, int] | None:
    """(epoch, leader or -1) of the quorum as `node` knows it; None if it has written none, or is writing it."""
    try:
        state = json.loads((Path(node.data_dir) / "__cluster_metadata-0" / "quorum-state").read_text())
        return int(state["leaderEpoch"]), int(state["leaderId"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _running(cluster: Cluster) -> list[int]:
    return sorted(node.id for node in cluster.nodes if node.alive)


def _at_random(seed: int, running: list[int]) -> Chosen:
    if not running:
        raise UnavailableError("no broker of the lab runs.", "run 'chaos drills heal'.")
    seed = seed or random.SystemRandom().randrange(1, 1_000_000)
    node_id = random.Random(seed).choice(running)
    logger.info("chose broker %d of %s at random (seed %d)", node_id, running, seed)
    return Chosen(node_id, f"broker {node_id} (at random, seed {seed})")


def _name(wish: Wish) -> str:
    return f"{wish.topic}/{wish.partition}"


def settled(look: Callable[[], T | str], timeout_s: float) -> T:
    """The first answer of `look` that is not a text; raises `UnavailableError` with the last text after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while isinstance(answer := look(), str):
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"{answer}, {timeout_s:g} s long.", "look at the brokers' logs, and run 'chaos drills heal'."
            )
        time.sleep(POLL_S)
    return answer
