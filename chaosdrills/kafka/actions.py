"""Actions on Kafka brokers, for experiments. Faults hit the lab only; `wait_whole` serves any cluster.

What needs the driver is imported when it is called: without one an experiment is still validated, and says what to
install, `chaos discover` still lists all, and brokers are still healed.
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chaoslib.exceptions import ActivityFailed
from chaoslib.types import Configuration, Secrets

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.faults.heal_log import Entry
from chaosdrills.faults.healing import Healing, heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.kill import Kill, kill_target
from chaosdrills.faults.lab import is_lab, reachable_lab
from chaosdrills.host.nodes import load

__all__ = [
    "elect_preferred_leaders",
    "heal_brokers",
    "heal_consumers",
    "kill_broker",
    "kill_consumer",
    "start_broker",
    "wait_whole",
]

SERVICE = "kafka"

logger = logging.getLogger("chaostoolkit")


def kill_broker(
    role: str = "leader",
    topic: str = "",
    partition: int = 0,
    broker_id: int = 0,
    seed: int = 0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> dict:
    """Kill (SIGKILL) brokers of the lab, chosen by their role.

    `role`: "leader" or "followers" (all of them) of `topic` (empty: the drill's own) and `partition`; "controller", the
    active one; "random", drawn with `seed` (0: a new one, which is logged); "id", the broker `broker_id`.
    Marks itself in the drill's record. Returns `{"killed": 1, "brokers": "2", "what": "kill -9 of broker 2 (...)"}`.
    Fails, having killed nothing, if the experiment's cluster is not the lab.
    """
    with failing():
        from chaosdrills.kafka.admin import connection_of
        from chaosdrills.kafka.roles import Wish, choose

        connection = connection_of(configuration, secrets)
        cluster = reachable_lab(SERVICE, connection.bootstrap_servers)
        wish = Wish(role, topic or drill_topic(configuration), int(partition), int(broker_id), int(seed))
        chosen = choose(wish, cluster, connection)
        targets = [kill_target(cluster, each.node_id, each.label, role) for each in chosen]
        logger.info("about to %s", " and ".join(Kill().describe(target) for target in targets))
        what = inject(Kill(), targets)
        return {"killed": len(targets), "brokers": ", ".join(str(each.node_id) for each in chosen), "what": what}


def start_broker(
    role: str = "id", broker_id: int = 0, configuration: Configuration = None, secrets: Secrets = None
) -> dict:
    """Start brokers that were killed in this `role`, or by whatever role the broker `broker_id`, first killed first.

    A heal of some: idempotent, and marked if it has something to do. Returns when they accept connections, with
    `{"healed": 2, "nothing_to_do": 0}`.
    """
    with failing():
        from chaosdrills.kafka.roles import require_role

        node = int(broker_id)
        require_role(role, node)

        def wanted(entry: Entry) -> bool:
            chosen = entry.target.handle.get("node") == node if role == "id" else entry.target.role == role
            return chosen and not entry.held

        return _healed(configuration, wanted)


def heal_brokers(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Start every broker of the lab that a drill has killed and not started again; safe to repeat.

    Has nothing to do where the experiment talks to another cluster. Marked if it has something to do. Returns when they
    accept connections, with `{"healed": 1, "nothing_to_do": 0}`. Fails, keeping what is left in the heal log, if a
    broker does not come back.
    """
    with failing():
        return _healed(configuration, lambda entry: not entry.held)


def wait_whole(timeout_s: float = 120.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Wait until every broker is back, every replica in sync, and every partition led by its preferred replica.

    `timeout_s` seconds. Elects preferred leaders itself: on the lab all of them, elsewhere those of the drill's topic,
    and leaves other topics alone. Expects all brokers of the lab, and elsewhere all that hold a replica. Returns
    `{"brokers": 3, "under_replicated": 0, "preferred": true, "waited_s": 4.2}`; fails with what is still missing.
    """
    with failing():
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
    with failing():
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
    with failing():
        from chaosdrills.kafka import consumers
        from chaosdrills.kafka.admin import connection_of

        chosen = consumers.choose(role, int(partition), int(seed), connection_of(configuration, secrets))
        target = kill_target(consumers.running(), chosen.node_id, chosen.label, role)
        logger.info("about to %s", Kill().describe(target))
        return {"killed": 1, "consumer": chosen.node_id, "what": inject(Kill(), [target])}


def heal_consumers(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Start every consumer of the drill's own group that was killed and not started again; safe to repeat.

    Marked if it has something to do. Returns when they own partitions again, with `{"healed": 1, "nothing_to_do": 0}`.
    """
    with failing():
        from chaosdrills.kafka.consumers import SERVICE as CONSUMERS

        healing = heal_outstanding(CONSUMERS, lambda entry: not entry.held)
        healing.demand()
        return {"healed": healing.count("healed"), "nothing_to_do": healing.count("nothing to do")}


@contextmanager
def failing() -> Iterator[None]:
    """Turn an error with its hint into the one that the Chaos Toolkit expects."""
    try:
        yield
    except DrillError as error:
        raise ActivityFailed(str(error)) from error


def drill_topic(configuration: Configuration = None) -> str:
    """The topic that the running drill writes to; empty outside of one."""
    return str((configuration or {}).get("kafka_topic") or "")


def _healed(configuration: Configuration, wanted: Callable[[Entry], bool]) -> dict:
    """Heal the entries that are `wanted`; none where the experiment talks to another cluster than the lab.

    What an earlier drill left in the lab is then not this drill's to heal, and its marks would be no evidence of it.
    """
    servers = str((configuration or {}).get("kafka_bootstrap_servers") or "")
    elsewhere = bool(servers) and load(SERVICE) is not None and not is_lab(SERVICE, servers)
    healing = Healing([]) if elsewhere else heal_outstanding(SERVICE, wanted)
    healing.demand()
    return {"healed": healing.count("healed"), "nothing_to_do": healing.count("nothing to do")}
