"""What can be drafted, one subject a service: its template, its actions, whom they hit, and how it is called.

Looking at them needs no driver.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from chaosdrills.errors import UsageError
from chaosdrills.faults.registry import FAULTS
from chaosdrills.kafka import actions as kafka_actions
from chaosdrills.redis import actions as redis_actions
from chaosdrills.timescaledb import actions as timescaledb_actions

Action = Callable[..., Any]


@dataclass(frozen=True)
class Subject:
    """A service of which experiments can be drafted.

    `noun` is what a fault hits ("broker"): an action of a registered fault is called after both, ``kill_broker``.
    `others` are faults with an action of another name, and the words for it. `networks` are the kinds of the lab's
    network that faults need. `roles` are whom a fault can hit, in words, the first by default; `only_healed` the faults
    and roles from which the service recovers only once healed, `lab_only` the roles that are hit on the lab alone, and
    by which faults. `endpoint` is the configuration's key of the cluster, which `variable` overrides, `spread` the
    workload's argument of how many streams there are, by default `streams`. `loses_nothing`: its failovers may lose no
    record where its objectives, which are about restores too, do not say how many.
    """

    service: str
    title: str
    template: str
    actions: ModuleType
    noun: str
    load: str
    endpoint: str
    variable: str
    spread: str
    streams: int
    roles: Mapping[str, str]
    others: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    only_healed: frozenset[str] = frozenset()
    lab_only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    loses_nothing: bool = False

    @property
    def id_argument(self) -> str:
        """What actions call the id of a node: ``broker_id``."""
        return f"{self.noun}_id"

    def faults(self) -> tuple[str, ...]:
        """What can be done to it: the registered faults that have an action for it, and others."""
        registered = (name for name in FAULTS if hasattr(self.actions, f"{name}_{self.noun}"))
        return (*registered, *self.others)

    def func(self, fault: str) -> str:
        """The name of the action that does `fault`. Raises `UsageError` if there is none."""
        if fault not in self.faults():
            raise UsageError(f"there is no fault {fault!r}.", f"choose one of {', '.join(self.faults())}.")
        return fault if fault in self.others else f"{fault}_{self.noun}"

    def parameters(self, fault: str) -> dict[str, inspect.Parameter]:
        """What the action of `fault` takes, beside what the Chaos Toolkit hands to all."""
        found = inspect.signature(getattr(self.actions, self.func(fault))).parameters
        return {name: it for name, it in found.items() if name not in ("configuration", "secrets")}

    def hits(self, fault: str, role: str, node_id: int, by_command: bool = False) -> str:
        """What is done to whom, in words: "kill of the active controller"."""
        deed = self.others.get(fault, fault) + (" by command" if by_command else "")
        if "role" not in self.parameters(fault):
            return deed
        which = f"{self.noun} {node_id}" if role == "id" else self.roles.get(role, role)
        return f"{deed} of {which}"

    def require_fit(self, fault: str, role: str, by_command: bool) -> None:
        """Raise `UsageError` for a fault that cannot hit this role so."""
        fit = self.lab_only.get(role, (fault,))
        if fault not in fit:
            raise UsageError(f"the fault {fault!r} cannot hit {self.roles[role]}.", f"choose one of {', '.join(fit)}.")
        if by_command and role in self.lab_only:
            raise UsageError(f"{self.roles[role]} can only be hit on the lab.", "leave the commands out.")

    def is_healed(self, fault: str, role: str) -> bool:
        """Whether the service is not expected to recover before the fault is healed."""
        return bool({fault, role} & self.only_healed)


KAFKA = Subject(
    service="kafka",
    title="Kafka",
    template="kafka-broker-loss.json",
    actions=kafka_actions,
    noun="broker",
    load="acks=all",
    endpoint="kafka_bootstrap_servers",
    variable="KAFKA_BOOTSTRAP_SERVERS",
    spread="partitions",
    streams=6,
    roles={
        "leader": "the leader of the drill's first partition",
        "follower": "a follower of the drill's first partition",
        "followers": "the followers of the drill's first partition",
        "controller": "the active controller",
        "random": "a broker at random",
        "id": "the broker of that id",
    },
    networks={"isolate": "isolable", "slow": "proxied"},
    only_healed=frozenset({"followers"}),
)
TIMESCALEDB = Subject(
    service="timescaledb",
    title="PostgreSQL",
    template="timescaledb-primary-loss.json",
    actions=timescaledb_actions,
    noun="node",
    load="synchronous replication",
    endpoint="timescaledb_dsn",
    variable="TIMESCALEDB_DSN",
    spread="connections",
    streams=8,
    roles={
        "primary": "the primary",
        "sync_standby": "the synchronous standby",
        "replica": "a replica",
        "etcd": "etcd",
        "id": "the node of that id",
    },
    others={
        "lose_disk": "kill and loss of the disk",
        "switch_over": "planned switchover by Patroni",
        "restart_postgresql": "planned restart",
        "reinitialise_replica": "reinitialisation",
        "hold_back_wal": "hold back the replica's WAL",
    },
    networks={"isolate": "isolable"},
    only_healed=frozenset({"etcd", "hold_back_wal"}),
    lab_only={"etcd": ("kill", "stop", "pause", "isolate")},
    loses_nothing=True,
)
REDIS = Subject(
    service="redis",
    title="Redis",
    template="redis-primary-loss.json",
    actions=redis_actions,
    noun="node",
    load="replies as acknowledgements",
    endpoint="redis_url",
    variable="REDIS_URL",
    spread="connections",
    streams=8,
    roles={
        "primary": "the primary",
        "replica": "a replica",
        "sentinel": "a sentinel",
        "standby": "the replica that Sentinel would promote",
        "sentinels": "so many sentinels that no quorum is left",
        "id": "the node of that id",
    },
    others={"fail_over": "planned failover by Sentinel"},
    networks={"isolate": "isolable"},
)
SUBJECTS = {subject.service: subject for subject in (KAFKA, TIMESCALEDB, REDIS)}
