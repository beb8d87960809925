"""What drills do to a whole cluster through its admin interface, beyond metadata and topics: bring leaders home."""

import time
from collections.abc import Mapping
from typing import Any

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.kafka.client import Admin, Connection, ElectionType, TopicPartition
from chaosdrills.kafka.partitions import named, not_preferred, partitions_of
from chaosdrills.kafka.properties import load_properties

ELECTION_TIMEOUT_S = 10.0
ELECT_AGAIN_S = 2.0
VIEW_S = 3.0
POLL_S = 0.1


class ClusterAdmin(Admin):
    """`Admin` that can also elect leaders."""

    def elect_preferred_leaders(self, topic: str | None, timeout_s: float) -> None:
        """Make the first replica of every partition its leader where it can be; says nothing about which could.

        `topic`: only of that topic (none if it is empty or not there); None: of the whole cluster. Raises `UsageError`
        if this user may not, `UnavailableError` if the controller does not answer.
        """
        partitions = None
        if topic is not None:
            found = self.view(timeout_s).topics.get(topic, ())
            partitions = [TopicPartition(topic, partition.id) for partition in found]
            if not partitions:
                return
        # No timeout argument: confluent-kafka 2.16 answers any of them with a SystemError.
        with self._explained("the preferred leaders cannot be elected", ELECTION_TIMEOUT_S):
            self._client.elect_leaders(ElectionType.PREFERRED, partitions).result(timeout=ELECTION_TIMEOUT_S)


def elect_preferred(connection: Connection, topic: str, timeout_s: float) -> tuple[int, int]:
    """Elect the preferred leaders of `topic` (empty: of all topics) until they lead.

    Returns how many partitions there are, and how many another one led before. Raises `UnavailableError` if there is no
    such topic, or naming those that their first replica does not lead after `timeout_s`; other `DrillError` if we are
    refused.
    """
    deadline, client, moved = time.monotonic() + timeout_s, ClusterAdmin(connection), -1
    elected_s = -ELECT_AGAIN_S
    while True:
        placed = partitions_of(client.view(VIEW_S), topic)
        away = not_preferred(placed)
        moved = len(away) if moved < 0 else moved
        if not away:
            return len(placed), moved
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"{len(away)} partitions are not led by their preferred replica after {timeout_s:g} s: {named(away)}.",
                "see with the probe in_sync_replicas whether it is back in sync.",
            )
        if time.monotonic() - elected_s >= ELECT_AGAIN_S:
            elected_s = time.monotonic()
            client.elect_preferred_leaders(topic or None, VIEW_S)
        time.sleep(POLL_S)


def connection_of(configuration: Mapping[str, Any] | None, secrets: Mapping[str, Any] | None) -> Connection:
    """How an experiment says its cluster is reached.

    `configuration`: `kafka_bootstrap_servers`, and optionally `kafka_properties` (confluent-kafka's own, an object) and
    `kafka_properties_file` (see `chaosdrills.kafka.properties`). `secrets`, flattened, are properties and go over them.
    Raises `UsageError` that shows no value of them.
    """
    configuration = configuration or {}
    servers = configuration.get("kafka_bootstrap_servers")
    if not isinstance(servers, str) or not servers:
        raise UsageError(
            "the experiment's configuration has no kafka_bootstrap_servers.", "give it as 'host:port,host:port'."
        )
    properties = configuration.get("kafka_properties") or {}
    if not isinstance(properties, Mapping):
        raise UsageError("kafka_properties is not an object of confluent-kafka properties.", 'write {"name": value}.')
    path = configuration.get("kafka_properties_file") or ""
    return Connection(servers, properties={**load_properties(path), **properties, **(secrets or {})})
