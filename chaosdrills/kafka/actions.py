"""Actions on Kafka brokers, for experiments.

Faults hit the lab, or any cluster by the user's own commands (see `chaosdrills.kafka.targeting`); `wait_whole` serves
any cluster. What needs the driver is imported when it is called: without one an experiment is still validated, and says
what to install, `chaos discover` still lists all, and brokers are still healed.
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

import logging
import time
from collections.abc import Callable

from chaoslib.types import Configuration, Secrets

from chaosdrills.core.values import seconds
from chaosdrills.errors import UsageError
from chaosdrills.faults import injection
from chaosdrills.faults.heal_log import Entry
from chaosdrills.faults.healing import alone, heal_outstanding
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_target
from chaosdrills.faults.own import heal_own
from chaosdrills.kafka import deeds
from chaosdrills.observe.actions import refusing, typed

__all__ = [
    "elect_preferred_leaders",
    "heal_brokers",
    "heal_consumers",
    "isolate_broker",
    "kill_broker",
    "kill_consumer",
    "pause_broker",
    "restart_brokers",
    "slow_broker",
    "start_broker",
    "stop_broker",
    "wait_in_sync",
    "wait_whole",
]

NONE: list = []

logger = logging.getLogger("chaostoolkit")


def kill_broker(
    role: str = "leader",
    topic: str = "",
    partition: int = 0,
    broker_id: int = -1,
    seed: int = 0,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    max_targets: int = 1,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Kill brokers, chosen by their role: SIGKILL on the lab, or your own command.

    `role`: "leader", "follower" (the first) or "followers" (all of them) of `topic` (empty: the drill's own) and
    `partition`; "controller", the active one; "random", drawn with `seed` (0: a new one, which is logged); "id", the
    broker `broker_id`. `target`: "lab", or "command", which runs `inject` and its `heal`, and asks `check` (exit status
    0: healthy) if given; lists without a shell, each bounded by `timeout_s`, in which {broker}, {host} and {port} are
    replaced. A command hits at most `max_targets` brokers, and none of a degraded cluster unless `degraded_ok`.
    Marks itself in the drill's record. Returns `{"killed": 1, "brokers": "2", "what": "kill -9 of broker 2 (...)"}`, of
    a command with its last lines as `output`. Fails, having killed nothing, if the experiment's cluster is not the lab
    and the target is.
    """
    return _hit("kill", "killed", locals())


def stop_broker(
    role: str = "leader",
    topic: str = "",
    partition: int = 0,
    broker_id: int = -1,
    seed: int = 0,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    max_targets: int = 1,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Stop brokers in good order, chosen by their role: SIGTERM on the lab, or your own command.

    Returns when they are gone; fails if that takes longer than `timeout_s`, and has then killed them. All arguments are
    those of `kill_broker`. Returns `{"stopped": 1, "brokers": "2", "what": "stop of broker 2 (...)"}`.
    """
    return _hit("stop", "stopped", locals())


def pause_broker(
    role: str = "leader",
    topic: str = "",
    partition: int = 0,
    broker_id: int = -1,
    seed: int = 0,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    max_targets: int = 1,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Pause brokers, chosen by their role: SIGSTOP on the lab, or your own command. They go on when they are healed.

    A paused broker answers nothing and closes nothing. All arguments are those of `kill_broker`. Returns
    `{"paused": 1, "brokers": "2", "what": "pause of broker 2 (...)"}`.
    """
    return _hit("pause", "paused", locals())


def isolate_broker(
    role: str = "leader",
    topic: str = "",
    partition: int = 0,
    broker_id: int = -1,
    seed: int = 0,
    scope: str = "all",
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    max_targets: int = 1,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Cut brokers off the network, silently and in both directions; they go on running.

    `scope`: "all"; "clients", who then reach the other brokers only, while the cluster is whole for itself; "peers", so
    that the broker is fenced, and its clients still reach it. The lab needs the option network ("isolable"); elsewhere
    it is your own command's business. All other arguments are those of `kill_broker`. Returns `{"isolated": 1,
    "brokers": "2", "what": "isolation of broker 2 (...)"}`.
    """
    return _hit("isolate", "isolated", locals())


def slow_broker(
    role: str = "leader",
    topic: str = "",
    partition: int = 0,
    broker_id: int = -1,
    seed: int = 0,
    latency_ms: float = 100.0,
    jitter_ms: float = 0.0,
    scope: str = "all",
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    max_targets: int = 1,
    degraded_ok: bool = False,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Let what brokers send and receive take `latency_ms` longer, in each direction, `jitter_ms` more or less.

    `scope` is that of `isolate_broker`. The lab needs the option network "proxied"; elsewhere it is your own command's
    business. All other arguments are those of `kill_broker`. Returns `{"slowed": 1, "brokers": "2", "what": "slow
    network of broker 2 (...): 100 ms each way"}`.
    """
    return _hit("slow", "slowed", locals())


def restart_brokers(
    brokers: list = NONE,
    in_sync_timeout_s: float = 300.0,
    target: str = "lab",
    inject: list = NONE,
    heal: list = NONE,
    check: list = NONE,
    timeout_s: float = 60.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Restart brokers one at a time, as planned work: stop, start, wait until all replicas are in sync, next.

    `brokers`: their ids, none for all (by command they must be named). By id, the active controller last. `target`:
    "lab", or "command", where `inject` stops and `heal` starts one, as in `kill_broker`. After each,
    `in_sync_timeout_s` for the replicas. Each stop is marked as a fault and each start as its heal. Returns
    `{"restarted": 3, "brokers": "1, 3, 2", "took_s": 31.5}`; fails, leaving the others alone, if the
    cluster is not in sync before, or one does not stop, start or catch up.
    """
    given = locals()
    with refusing():
        from chaosdrills.kafka import restart, targeting
        from chaosdrills.kafka.admin import connection_of

        connection = connection_of(configuration, secrets)
        means = targeting.Means.of(given, secrets)
        wanted, in_sync_s = restart.brokers_of(brokers), seconds("in_sync_timeout_s", in_sync_timeout_s)
        begun = time.monotonic()
        with alone():
            order = restart.restart(wanted, means, connection, in_sync_s, logger.info)
        took_s = round(time.monotonic() - begun, 3)
        return {"restarted": len(order), "brokers": ", ".join(map(str, order)), "took_s": took_s}


def start_broker(
    role: str = "id", broker_id: int = -1, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """Heal brokers that were hit in this `role`, or by whatever role the broker `broker_id`: started, or resumed.

    A heal of some, whatever fault it was, first hit first: idempotent, and marked if it has something to do. Returns
    when they accept connections, with `{"healed": 2, "nothing_to_do": 0}`.
    """
    with refusing():
        from chaosdrills.kafka.roles import NO_BROKER, require_role
        from chaosdrills.kafka.targeting import whole

        node = whole("broker_id", broker_id, NO_BROKER)
        require_role(role, node)

        def wanted(entry: Entry) -> bool:
            return bool(entry.target.handle.get("node") == node if role == "id" else entry.target.role == role)

        return _healed(configuration, wanted)


def heal_brokers(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Undo every fault on brokers that is outstanding, of whatever kind and by whatever means; safe to repeat.

    Starts nodes of the lab that a drill has killed or stopped, has paused ones go on, and runs the heal of every
    command of this drill. Leaves the lab alone where the experiment talks to another cluster. Marked if it has
    something to do. Returns when they accept connections, with `{"healed": 1, "nothing_to_do": 0}`. Fails, keeping what
    is left in the heal log, if a broker does not come back.
    """
    with refusing():
        return _healed(configuration, lambda entry: True)


def wait_whole(timeout_s: float = 120.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Wait until every broker is back, every replica in sync, and every partition led by its preferred replica.

    `timeout_s` seconds. Elects preferred leaders itself: on the lab all of them, elsewhere those of the drill's topic,
    and leaves other topics alone. Expects all brokers of the lab, and elsewhere all that hold a replica. Returns
    `{"brokers": 3, "under_replicated": 0, "preferred": true, "waited_s": 4.2}`; fails with what is still missing.
    """
    with refusing():
        from chaosdrills.kafka import health
        from chaosdrills.kafka.admin import connection_of

        connection = connection_of(configuration, secrets)
        begun = time.monotonic()
        expected = health.expected_of(connection.bootstrap_servers)
        found = health.wait_whole(connection, expected, float(timeout_s), drill_topic(configuration))
        return {
            "brokers": found.brokers,
            "under_replicated": found.under_replicated,
            "preferred": not found.not_preferred,
            "waited_s": round(time.monotonic() - begun, 3),
        }


def wait_in_sync(
    topic: str = "",
    partition: int = 0,
    at_least: int = 0,
    at_most: int = 1_000,
    timeout_s: float = 60.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Wait until a partition has `at_least` and `at_most` so many in-sync replicas, such as when a dead one left them.

    `topic` (empty: the drill's own), `timeout_s` seconds. Returns `{"in_sync": 1, "brokers": "2", "waited_s": 9.1}`;
    fails with the replicas that are in sync then.
    """
    with refusing():
        from chaosdrills.kafka.admin import connection_of
        from chaosdrills.kafka.partitions import wait_in_sync as wait

        begun = time.monotonic()
        placed, bounds = (topic or drill_topic(configuration), int(partition)), (int(at_least), int(at_most))
        in_sync = wait(connection_of(configuration, secrets), placed, bounds, float(timeout_s)).in_sync
        waited_s = round(time.monotonic() - begun, 3)
        return {"in_sync": len(in_sync), "brokers": ", ".join(map(str, in_sync)), "waited_s": waited_s}


def elect_preferred_leaders(
    topic: str = "",
    all_topics: bool = False,
    timeout_s: float = 60.0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Have every partition led by its preferred (first) replica again, and wait until it is so.

    Of `topic` (empty: the drill's own), or of the whole cluster if `all_topics`. Returns `{"partitions": 6, "moved": 2,
    "waited_s": 0.4}`; fails with those that are not after `timeout_s`: their first replica may be down or out of sync.
    """
    with refusing():
        from chaosdrills.kafka import admin

        connection = admin.connection_of(configuration, secrets)
        begun = time.monotonic()
        name = "" if all_topics else topic or drill_topic(configuration)
        if not name and not all_topics:
            raise UsageError("there is no topic whose leaders to elect.", "give 'topic', or 'all_topics': true.")
        partitions, moved = admin.elect_preferred(connection, name, float(timeout_s))
        return {"partitions": partitions, "moved": moved, "waited_s": round(time.monotonic() - begun, 3)}


def kill_consumer(
    role: str = "member",
    partition: int = 0,
    seed: int = 0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Kill (SIGKILL) a member of the drill's own consumer group; on whichever cluster, for it runs on this machine.

    `role`: "member", the one that owns `partition` of the drill's topic; "random", drawn with `seed` (0: a new one).
    Needs the workload's argument `consumers`. Marks itself in the drill's record. Returns `{"killed": 1, "consumer": 2,
    "what": "kill -9 of consumer 2 (owner of t/0)"}`.
    """
    with refusing():
        from chaosdrills.kafka import consumers
        from chaosdrills.kafka.admin import connection_of

        chosen = consumers.choose(role, int(partition), int(seed), connection_of(configuration, secrets))
        target = node_target(consumers.running(), chosen.node_id, chosen.label, role)
        logger.info(f"About to {Kill().describe(target)}")
        return {"killed": 1, "consumer": chosen.node_id, "what": injection.inject(Kill(), [target])}


def heal_consumers(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Start every consumer of the drill's own group that was killed and not started again; safe to repeat.

    Marked if it has something to do. Returns when they own partitions again, with `{"healed": 1, "nothing_to_do": 0}`.
    """
    with refusing():
        from chaosdrills.kafka.consumers import SERVICE as CONSUMERS

        healing = heal_outstanding(CONSUMERS, lambda entry: not entry.held)
        healing.demand()
        return {"healed": healing.count("healed"), "nothing_to_do": healing.count("nothing to do")}


def drill_topic(configuration: Configuration = None) -> str:
    """The topic that the running drill writes to; empty outside of one."""
    return str((configuration or {}).get("kafka_topic") or "")


def _hit(deed: str, done: str, given: dict) -> dict:
    with refusing():
        return deeds.hit(deed, done, given, drill_topic(given["configuration"]))


def _healed(configuration: Configuration, wanted: Callable[[Entry], bool]) -> dict:
    return heal_own(deeds.SERVICE, str((configuration or {}).get("kafka_bootstrap_servers") or ""), wanted)


typed(__name__)
