"""The arguments of the Kafka workload, checked before anything is connected."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from chaosdrills.core.values import count, mapping, refuse_unknown, seconds_of_a_day, truth
from chaosdrills.errors import UsageError
from chaosdrills.kafka.client import Connection
from chaosdrills.kafka.payload import head
from chaosdrills.kafka.properties import load_properties

# Nothing may be removed while it is still to be read back, and no out-of-sync replica may become leader unasked.
TOPIC_CONFIG: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "unclean.leader.election.enable": "false",
}

# The property that names the assignment strategy, by group protocol: the client's own, or the broker's to choose.
STRATEGIES: Mapping[str, str] = {"classic": "partition.assignment.strategy", "consumer": "group.remote.assignor"}
CLASSIC_SESSION_MS = 45_000  # librdkafka's own


@dataclass(frozen=True)
class Arguments:
    """What `KafkaWorkload` takes.

    `bootstrap_servers`: ``host:port,...``. `topic`: default ``chaosdrills-<drill id>``; made if missing, and removed at
    the end of a whole drill if it was made here and `keep_topic` is false. `partitions`, `replication_factor`,
    `min_insync_replicas`, `topic_config` (over `TOPIC_CONFIG`): how it is made, and what an existing one must have.
    `acks`: ``all`` or 1. `enable_idempotence`: default true with acks ``all``. `payload_bytes`: of each message.
    `client`: ``watchful`` or ``plain``. `reader`: whether freshness is measured. `consumers`: by how many members
    of a consumer group (`chaosdrills.kafka.group`), each a process; 0: by one consumer that is assigned all partitions.
    `group_protocol` (``classic``, or ``consumer`` for KIP-848's), `session_timeout_s` and `assignment_strategy` are the
    group's; without the latter two the client's own hold (classic: 45 s; range,roundrobin).
    `properties_file`: see `chaosdrills.kafka.properties`; `properties`: confluent-kafka's own, for SASL and TLS, which
    go over the file's; `secrets`: properties that the experiment keeps among its secrets, over both.
    `producer_properties` and `consumer_properties`: for the producer, and for the group's members, alone, over all.
    """

    bootstrap_servers: str
    topic: str = ""
    partitions: int = 6
    replication_factor: int = 3
    min_insync_replicas: int = 2
    acks: str = "all"
    enable_idempotence: bool | None = None
    payload_bytes: int = 100
    client: str = "watchful"
    reader: bool = True
    consumers: int = 0
    group_protocol: str = "classic"
    session_timeout_s: float | None = None
    assignment_strategy: str = ""
    keep_topic: bool = False
    topic_config: Mapping[str, str] = field(default_factory=dict)
    properties_file: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    producer_properties: Mapping[str, Any] = field(default_factory=dict, repr=False)
    consumer_properties: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(drill_id: str, given: Mapping[str, Any]) -> "Arguments":
        """Check `given` for the drill `drill_id`. Raises `UsageError` that names what is wrong."""
        _refuse_unknown(given)
        if "bootstrap_servers" not in given:
            raise UsageError("the Kafka workload was given no bootstrap_servers.", "give 'host:port,host:port'.")
        values = {name: _CHECKS.get(name, _text)(name, value) for name, value in given.items()}
        arguments = Arguments(**{**values, "topic": values.get("topic") or own_name(drill_id)})
        arguments._require_sense(drill_id)
        return arguments

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Check what is known of `given` before a run: values with ``${...}`` in them are not. Raises `UsageError`."""
        _refuse_unknown(given)
        known = {name: value for name, value in given.items() if "${" not in str(value)}
        if given.keys() - known.keys() <= {"bootstrap_servers", "properties_file"}:
            Arguments.of("0" * 8, {**dict.fromkeys(given.keys() & {"bootstrap_servers"}, "localhost:1"), **known})

    def _require_sense(self, drill_id: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", self.topic) or self.topic in (".", ".."):
            raise UsageError(f"{self.topic!r} is not a topic's name.", "use up to 249 of A-Z a-z 0-9 . _ -")
        if self.min_insync_replicas > self.replication_factor:
            raise UsageError(
                f"min_insync_replicas {self.min_insync_replicas} is more than replication_factor "
                f"{self.replication_factor}: no write could be acknowledged.",
                "lower one or raise the other.",
            )
        if self.idempotent and self.acks != "all":
            raise UsageError(f"enable_idempotence needs acks 'all', not {self.acks}.", "set it to false.")
        self._require_group()
        head(drill_id, 0, self.payload_bytes)
        self.connection.settings()

    def _require_group(self) -> None:
        if self.group_protocol not in STRATEGIES:
            raise UsageError(f"there is no group protocol {self.group_protocol!r}.", "use 'classic' or 'consumer'.")
        if self.consumers and not self.reader:
            raise UsageError("consumers need the reader, which is false.", "leave one of the two out.")
        if self.consumers > self.partitions:
            raise UsageError(
                f"{self.consumers} consumers share {self.partitions} partitions: some would have none to read.",
                "lower consumers, or raise partitions.",
            )
        if self.group_protocol == "consumer" and self.session_timeout_s is not None:
            raise UsageError(
                "with the group protocol 'consumer' the brokers set the session timeout, not the client.",
                "leave session_timeout_s out, and set group.consumer.session.timeout.ms on the brokers.",
            )
        self.consumer_connection.settings()

    @property
    def connection(self) -> Connection:
        """How to reach the cluster."""
        properties = {**load_properties(self.properties_file), **self.properties, **self.secrets}
        return Connection(self.bootstrap_servers, self.client, properties)

    @property
    def consumer_connection(self) -> Connection:
        """How the members of the group reach the cluster."""
        connection = self.connection
        return replace(connection, properties={**connection.properties, **self.consumer_properties})

    @property
    def group_settings(self) -> dict[str, Any]:
        """The client properties of the group's members that these arguments ask for."""
        settings: dict[str, Any] = {"group.protocol": self.group_protocol}
        if self.session_timeout_s is not None:
            settings["session.timeout.ms"] = round(self.session_timeout_s * 1000)
        if self.assignment_strategy:
            settings[STRATEGIES[self.group_protocol]] = self.assignment_strategy
        return settings

    @property
    def idempotent(self) -> bool:
        """Whether the producer is idempotent."""
        return self.acks == "all" if self.enable_idempotence is None else self.enable_idempotence

    @property
    def config(self) -> dict[str, str]:
        """The settings of the topic that matter."""
        return {**TOPIC_CONFIG, "min.insync.replicas": str(self.min_insync_replicas), **self.topic_config}

    def facts(self) -> dict[str, Any]:
        """What of this may be written down: no address, no properties."""
        return {
            "topic": self.topic,
            "partitions": self.partitions,
            "replication_factor": self.replication_factor,
            "topic_config": self.config,
            "acks": self.acks,
            "enable_idempotence": self.idempotent,
            "payload_bytes": self.payload_bytes,
            "client": self.client,
            **(self._group_facts() if self.consumers else {}),
        }

    def _group_facts(self) -> dict[str, Any]:
        """What is in force, whether an argument or a property says it."""
        settings = self.consumer_connection.settings(self.group_settings)
        protocol = str(settings["group.protocol"])
        facts: dict[str, Any] = {"consumers": self.consumers, "group_protocol": protocol}
        session_ms = str(settings.get("session.timeout.ms", CLASSIC_SESSION_MS))
        if protocol == "classic" and session_ms.isdecimal():
            facts["session_timeout_s"] = int(session_ms) / 1000
        strategy = settings.get(STRATEGIES.get(protocol, ""))
        return {**facts, **({"assignment_strategy": strategy} if strategy else {})}


def own_name(drill_id: str) -> str:
    """The name of what a drill makes for itself: its topic, its consumer group."""
    return "chaosdrills-" + re.sub(r"[^A-Za-z0-9._-]", "-", drill_id)


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    refuse_unknown("the Kafka workload", given, [it.name for it in fields(Arguments)])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} is {value!r}.", "give a text.")
    return value


def _number(name: str, value: Any) -> int:
    """A whole number from 0."""
    return 0 if str(value).strip() == "0" else count(name, value)


def _optional_seconds(name: str, value: Any) -> float | None:
    """Seconds above 0; none for null and for an empty text, as an environment variable that is not set gives."""
    if value is None or value == "":
        return None
    return seconds_of_a_day(name, value)


def _optional_truth(name: str, value: Any) -> bool | None:
    return None if value is None else truth(name, value)


def _acks(name: str, value: Any) -> str:
    text = {"-1": "all", "all": "all", "1": "1"}.get(str(value))
    if text is None:
        raise UsageError(f"{name} is {value!r}.", "use 'all' or 1; without acknowledgements there is nothing to lose.")
    return text


def _texts(name: str, value: Any) -> Mapping[str, str]:
    pairs = mapping(name, value).items()
    return {key: str(it).lower() if isinstance(it, bool) else str(it) for key, it in pairs}


_CHECKS: Mapping[str, Any] = {
    "partitions": count,
    "replication_factor": count,
    "min_insync_replicas": count,
    "payload_bytes": count,
    "acks": _acks,
    "enable_idempotence": _optional_truth,
    "reader": truth,
    "keep_topic": truth,
    "topic_config": _texts,
    "properties": mapping,
    "secrets": mapping,
    "producer_properties": mapping,
    "consumer_properties": mapping,
    "consumers": _number,
    "session_timeout_s": _optional_seconds,
}
