"""The lab's self-healer: ``python -m chaosdrills.lab.healer PORT POLICY``, a node of the Redis lab.

It stands for what users have: a script, an operator or a supervisor that starts a server again when it is gone. It
looks at every node of the lab ten times a second, and starts those that it has seen alive. POLICY is ``backoff`` (at
once, then after pauses of 1, 2, 4, ... up to 30 s, and from the first again once the node has lived for 10 s) or
``storm`` (every 0.2 s, whatever comes of it).

It keeps its attempts twice: as the counter ``restart_attempts_total`` of ``/metrics``, a sample for each node; and in
the Redis that it watches over, as the sorted set `KEY` of instants (seconds since 1970). What cannot be written there
at once, because there is nobody who takes writes, is written later. `REDIS_URL` in its environment is the way there.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, start_http_server

from chaosdrills.errors import DrillError
from chaosdrills.host.nodes import load, start_node
from chaosdrills.host.processes import reap
from chaosdrills.host.sockets import LOOPBACK
from chaosdrills.lab.healer_node import BACKOFF, KIND, STORM
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.url import RedisUrl

SERVICE = "redis"
KEY = "chaosdrills:healer:attempts"  # which the drills' own user may write and read, where the lab has users
METRIC = "restart_attempts"  # its sample is restart_attempts_total
LOOK_S = 0.1
WRITE_S = 2.0
STEADY_S = 10.0

logger = logging.getLogger(KIND)


@dataclass(frozen=True)
class Policy:
    """How long to wait after each attempt: `first_s`, then `factor` times as long each time, up to `cap_s`."""

    first_s: float
    factor: float
    cap_s: float


POLICIES = {BACKOFF: Policy(1.0, 2.0, 30.0), STORM: Policy(0.2, 1.0, 0.2)}


@dataclass
class Turn:
    """When a node may be started next, if it is gone then."""

    policy: Policy
    due_s: float = 0.0
    pause_s: float = 0.0
    alive_since_s: float | None = None
    seen: bool = False

    def lives(self, now_s: float) -> None:
        """The node lives now."""
        self.seen = True
        self.alive_since_s = now_s if self.alive_since_s is None else self.alive_since_s
        if now_s - self.alive_since_s >= STEADY_S:
            self.due_s = self.pause_s = 0.0

    def is_due(self, now_s: float) -> bool:
        """The node is gone now: whether it is to be started, which counts as an attempt."""
        self.alive_since_s = None
        if now_s < self.due_s:
            return False
        self.pause_s = min(self.pause_s * self.policy.factor or self.policy.first_s, self.policy.cap_s)
        self.due_s = now_s + self.pause_s
        return True


@dataclass
class Healer:
    """Starts what is gone; `tell` is told each attempt before it is made."""

    policy: Policy
    tell: Callable[[int], None]
    turns: dict[int, Turn] = field(default_factory=dict)

    def look(self, now_s: float) -> None:
        """Look at all nodes once, and start those that are due."""
        reap()
        cluster = load(SERVICE)
        for node in cluster.nodes if cluster else []:
            turn = self.turns.setdefault(node.id, Turn(self.policy))
            if node.kind == KIND:
                continue
            if node.alive:
                turn.lives(now_s)
            elif turn.seen and turn.is_due(now_s):
                self._start(node.id)

    def _start(self, node_id: int) -> None:
        self.tell(node_id)
        try:
            start_node(SERVICE, node_id)
            logger.info("node %s was started", node_id)
        except (DrillError, OSError) as error:  # such as a disk that is full: it goes on trying
            logger.warning("node %s: %s", node_id, error)


class Keeper(threading.Thread):
    """Writes attempts down in the Redis, as soon as somebody takes writes."""

    def __init__(self, client: Client) -> None:
        super().__init__(name="keeper", daemon=True)
        self._client = client
        self._there = threading.Condition()
        self._attempts: list[tuple[str, str]] = []

    def add(self, node_id: int, at_s: float) -> None:
        """Have an attempt written; returns at once."""
        with self._there:
            self._attempts.append((f"{at_s:.6f}", f"{at_s:.6f} node {node_id}"))
            self._there.notify()

    def run(self) -> None:
        """Write for ever. An attempt that may be written already is written again, and stays one."""
        while True:
            with self._there:
                self._there.wait_for(lambda: self._attempts)
                now = list(self._attempts)
            try:
                self._write(now)
            except DrillError as error:
                logger.warning("attempts are kept for later: %s", error)
                continue
            with self._there:
                del self._attempts[: len(now)]

    def _write(self, attempts: list[tuple[str, str]]) -> None:
        session = self._client.find(PRIMARY, WRITE_S, patient=True)
        try:
            session.do("ZADD", KEY, *(word for attempt in attempts for word in attempt), timeout_s=WRITE_S)
        finally:
            session.close()


def main(argv: list[str]) -> None:
    """Heal by the policy `argv[1]`, with metrics on the port `argv[0]`, until killed."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    registry = CollectorRegistry()
    counter = Counter(METRIC, "Attempts to start a node again.", ["node"], registry=registry)
    cluster = load(SERVICE)
    for node in cluster.nodes if cluster else []:
        counter.labels(str(node.id))  # there from the beginning, at 0
    keeper = Keeper(Client(RedisUrl.of(os.environ["REDIS_URL"]), KIND))
    keeper.start()
    start_http_server(int(argv[0]), addr=LOOPBACK, registry=registry)

    def tell(node_id: int) -> None:
        counter.labels(str(node_id)).inc()
        keeper.add(node_id, time.time())

    healer = Healer(POLICIES[argv[1]], tell)
    while True:
        healer.look(time.monotonic())
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main(sys.argv[1:])
