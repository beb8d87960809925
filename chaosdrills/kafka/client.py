"""The Kafka client: connections, topics and metadata, with errors that say what to do.

The only module that imports confluent-kafka. What the driver's errors mean for the outcome of a write is in
`chaosdrills.kafka.outcomes`.
"""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaosdrills.errors import DrillError, UnavailableError, UsageError

try:
    from confluent_kafka import (
        TIMESTAMP_NOT_AVAILABLE,
        Consumer,
        ConsumerGroupTopicPartitions,
        ElectionType,
        KafkaError,
        KafkaException,
        Message,
        Producer,
        TopicPartition,
        libversion,
        version,
    )
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AdminClient,
        ConfigResource,
        NewTopic,
        ResourceType,
    )
except ImportError as missing:
    raise UnavailableError(
        f"the Kafka driver is not installed: {missing}.", "run pip install 'chaosdrills[kafka]'."
    ) from missing

__all__ = [
    "TIMESTAMP_NOT_AVAILABLE",
    "Consumer",
    "ConsumerGroupTopicPartitions",
    "ElectionType",
    "KafkaError",
    "KafkaException",
    "Message",
    "Producer",
    "TopicPartition",
]

logger = logging.getLogger(__name__)

# What a client needs to notice within seconds that a leader is paused or gone. librdkafka's own values: metadata every
# 300 s, requests and sockets 60 s (30 s for the broker's part), reconnects after 0.1 to 10 s, connecting 30 s.
WATCHFUL: Final[Mapping[str, Any]] = {
    "topic.metadata.refresh.interval.ms": 1000,
    "socket.timeout.ms": 4000,
    "socket.connection.setup.timeout.ms": 3000,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
}
WATCHFUL_PRODUCER: Final[Mapping[str, Any]] = {
    "request.timeout.ms": 3000,
    "delivery.timeout.ms": 60_000,
    "retry.backoff.ms": 100,
    "retry.backoff.max.ms": 500,
    # Where five requests to a broker are out, the most for an idempotent producer, librdkafka 2.16 spins. At 1,000
    # messages/s over six partitions that took 0.8 of a core with its own linger of 5 ms, and 0.1 with this one.
    "linger.ms": 25,
}
CLIENTS = {"watchful": WATCHFUL, "plain": {}}

# Properties that would make the drill measure something else than it says: refused from the user's own.
_NO_CALLBACKS = "remove it: the drill needs its own."
RESERVED: Final[Mapping[str, str]] = {
    "bootstrap.servers": "give the address as kafka_bootstrap_servers, which faults and the lab look at too.",
    "metadata.broker.list": "give the address as kafka_bootstrap_servers, which faults and the lab look at too.",
    "acks": "give it as the workload's argument acks.",
    "request.required.acks": "give it as the workload's argument acks.",
    "enable.idempotence": "give it as the workload's argument enable_idempotence.",
    "delivery.report.only.error": "remove it: without reports nothing is known to be acknowledged.",
    "transactional.id": "remove it: the drill writes without transactions.",
    "group.id": "remove it: the drill reads in no group, or in one of its own.",
    "group.instance.id": "remove it: the members of the drill's own group are no static ones.",
    "auto.offset.reset": "remove it: a read-back must not skip what is missing.",
    "enable.partition.eof": "remove it: the drill needs its own.",
    "isolation.level": "remove it: the drill needs its own.",
    "enable.auto.commit": "remove it: the drill commits in a group of its own, or not at all.",
    "allow.auto.create.topics": "remove it: the drill makes its topic itself, and removes it.",
    "default.topic.config": "give its properties by themselves.",
    **dict.fromkeys(("on_delivery", "error_cb", "stats_cb", "throttle_cb", "logger", "partitioner"), _NO_CALLBACKS),
}

LOG_AGAIN_S = 10.0
MOST_LOGGED = 1000

_ASIDES = re.compile(r" \(after \d+ms in state \w+(, \d+ identical error\(s\) suppressed)?\)")
_AUTHENTICATION = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL)
_AUTHORISATION = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
)
_COORDINATOR = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
_PASSING = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)


@dataclass(frozen=True)
class Connection:
    """How to reach a cluster. `properties` are confluent-kafka's own (SASL, TLS); they go over everything else.

    `client` is ``watchful`` (see `WATCHFUL`) or ``plain``: librdkafka's own settings.
    """

    bootstrap_servers: str
    client: str = "watchful"
    properties: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.bootstrap_servers:
            raise UsageError("there are no bootstrap servers.", "give bootstrap_servers as 'host:port,host:port'.")
        if self.client not in CLIENTS:
            raise UsageError(f"there is no client {self.client!r}.", f"use one of {', '.join(CLIENTS)}.")
        for name in self.properties:
            if name in RESERVED:
                raise UsageError(f"the Kafka properties set {name}, which is the drill's own.", RESERVED[name])

    def settings(self, *more: Mapping[str, Any]) -> dict[str, Any]:
        """All properties of one client: the address, those of `client`, `more`, and the user's own last.

        No client may make a topic by asking for it: librdkafka's producers would, after the drill removed its own.
        """
        merged: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "log_level": 2,
            "allow.auto.create.topics": False,
        }
        for part in (CLIENTS[self.client], *more, self.properties):
            merged.update(part)
        return merged


class Trouble:
    """What a client told of its connections: librdkafka reports these aside, not where a call fails.

    `last` is the last one in words; `refused` one that says that brokers do not accept who we are; `downs` how often no
    broker was reachable. Each kind is logged, at most every 10 s.
    """

    def __init__(self) -> None:
        self.last = ""
        self.refused: KafkaError | None = None
        self.downs = 0
        self._logged: dict[str, float] = {}

    def note(self, error: KafkaError) -> None:
        """Take in an error; called by librdkafka."""
        self.downs += error.code() == KafkaError._ALL_BROKERS_DOWN
        self.last = _ASIDES.sub("", error.str())
        self._log(self.last)
        if error.code() in _AUTHENTICATION:
            self.refused = error

    def _log(self, text: str) -> None:
        now = time.monotonic()
        if now - self._logged.get(text, -LOG_AGAIN_S) >= LOG_AGAIN_S and len(self._logged) < MOST_LOGGED:
            self._logged[text] = now
            logger.warning("Kafka client: %s", text)


@dataclass(frozen=True)
class Partition:
    """One partition: `leader` is a broker's id or None."""

    id: int
    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]

    @property
    def under_replicated(self) -> bool:
        """Whether one of its replicas is not in sync."""
        return not set(self.replicas) <= set(self.in_sync)

    @property
    def preferred(self) -> bool:
        """Whether its first replica leads it."""
        return self.leader == self.replicas[0]


@dataclass(frozen=True)
class ClusterView:
    """A cluster as one broker's metadata shows it: brokers by id (``host:port``), and partitions by topic."""

    cluster_id: str
    brokers: Mapping[int, str]
    topics: Mapping[str, tuple[Partition, ...]]


def versions() -> dict[str, str]:
    """The versions of confluent-kafka and librdkafka."""
    return {"confluent_kafka": str(version()), "librdkafka": libversion()[0]}


def new_producer(connection: Connection, trouble: Trouble, settings: Mapping[str, Any]) -> Producer:
    """A producer with `settings`. Raises `UsageError` for properties that librdkafka does not take."""
    more = WATCHFUL_PRODUCER if connection.client == "watchful" else {}
    producer: Producer = _made(Producer, connection, trouble, more, settings)
    return producer


def new_consumer(connection: Connection, trouble: Trouble, settings: Mapping[str, Any]) -> Consumer:
    """A consumer with `settings`, in no group. Raises `UsageError` for properties that librdkafka does not take."""
    base = {"group.id": "chaosdrills", "enable.auto.commit": False, "enable.auto.offset.store": False}
    consumer: Consumer = _made(Consumer, connection, trouble, base, settings)
    return consumer


def _made(kind: Callable[..., Any], connection: Connection, trouble: Trouble, *settings: Mapping[str, Any]) -> Any:
    try:
        return kind({**connection.settings(*settings), "error_cb": trouble.note}, logger=logger)
    except KafkaException as error:
        raise UsageError(
            f"a Kafka client cannot be made with these properties: {_said(error)}.",
            "correct the properties of the workload; librdkafka's CONFIGURATION.md lists them.",
        ) from error
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"a Kafka client cannot be made: {error}.", "correct the properties of the workload."
        ) from error


class Admin:
    """Metadata and topics of one cluster. Every call is bounded by its `timeout_s` and raises `DrillError`."""

    def __init__(self, connection: Connection) -> None:
        self.trouble = Trouble()
        self._bootstrap = connection.bootstrap_servers
        self._client: AdminClient = _made(AdminClient, connection, self.trouble)

    def view(self, timeout_s: float, topic: str | None = None) -> ClusterView:
        """The cluster's brokers, and the partitions of `topic` or of all topics.

        Asks again until an answer or `timeout_s`; ends at once if the brokers refuse who we are.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = deadline - time.monotonic()
            try:
                return _view(self._ask_metadata(topic, max(0.1, min(left_s, 1.0))))
            except KafkaException as error:
                self._client.poll(0)
                if self.trouble.refused is not None:
                    raise self._refusal(self.trouble.refused) from error
                if code_of(error) not in _PASSING or time.monotonic() >= deadline:
                    raise self._failure(error, "its metadata cannot be had", timeout_s) from error

    def _ask_metadata(self, topic: str | None, timeout_s: float) -> Any:
        if topic is None:
            return self._client.list_topics(timeout=timeout_s)
        return self._client.list_topics(topic=topic, timeout=timeout_s)

    def create_topic(
        self, name: str, partitions: int, replication_factor: int, config: Mapping[str, str], timeout_s: float
    ) -> bool:
        """Make a topic. False if one of that name exists."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=replication_factor, config=dict(config))
        with self._explained(f"the topic {name} cannot be made", timeout_s):
            try:
                futures = self._client.create_topics([topic], operation_timeout=timeout_s, request_timeout=timeout_s)
                futures[name].result(timeout=timeout_s + 1)
            except KafkaException as error:
                if code_of(error) == KafkaError.TOPIC_ALREADY_EXISTS:
                    return False
                raise
        return True

    def delete_topic(self, name: str, timeout_s: float) -> None:
        """Remove a topic and its data."""
        with self._explained(f"the topic {name} cannot be removed", timeout_s):
            futures = self._client.delete_topics([name], operation_timeout=timeout_s, request_timeout=timeout_s)
            futures[name].result(timeout=timeout_s + 1)

    def topic_config(self, name: str, timeout_s: float) -> dict[str, str]:
        """The settings of a topic as they are in force, defaults included."""
        return self.topic_configs([name], timeout_s)[name]

    def topic_configs(self, names: Iterable[str], timeout_s: float) -> dict[str, dict[str, str]]:
        """The settings of topics as they are in force, defaults included, by topic."""
        resources = {name: ConfigResource(ResourceType.TOPIC, name) for name in names}
        if not resources:
            return {}
        futures = self._client.describe_configs(list(resources.values()), request_timeout=timeout_s)
        found = {}
        for name, resource in resources.items():
            with self._explained(f"the settings of the topic {name} cannot be read", timeout_s):
                entries = futures[resource].result(timeout=timeout_s + 1)
                found[name] = {key: str(entry.value) for key, entry in entries.items()}
        return found

    @contextlib.contextmanager
    def _explained(self, what: str, timeout_s: float) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            self._client.poll(0)
            raise self._failure(error, what, timeout_s) from error
        except TimeoutError as error:
            raise UnavailableError(
                f"Kafka did not answer within {timeout_s:g} s: {what}.", "look at the brokers' logs."
            ) from error

    def _failure(self, error: KafkaException, what: str, timeout_s: float) -> DrillError:
        code = code_of(error)
        if code in _AUTHENTICATION:
            return self._refusal(error.args[0])
        if code in _AUTHORISATION:
            return UsageError(
                f"Kafka does not allow it: {what} ({_said(error)}).", "give this user the right to do so."
            )
        if code in _COORDINATOR:
            return UnavailableError(
                f"the coordinator of the group is not there yet: {what} ({_said(error)}).", "try again in a moment."
            )
        if code in _PASSING:
            last = f" The last trouble: {self.trouble.last}." if self.trouble.last else ""
            return UnavailableError(
                f"no Kafka broker answers at {self._bootstrap} within {timeout_s:g} s.{last}",
                "check the address (bootstrap_servers), that the brokers run, and security.protocol.",
            )
        return UsageError(f"Kafka refuses: {what} ({_said(error)}).", "correct the arguments of the workload.")

    def _refusal(self, error: KafkaError) -> UsageError:
        return UsageError(
            f"the Kafka brokers at {self._bootstrap} do not accept who we are: {_ASIDES.sub('', error.str())}.",
            "check security.protocol, sasl.mechanism, the user and its password, or the certificates.",
        )


def code_of(error: KafkaException) -> int:
    """The code of the `KafkaError` that an exception carries."""
    inner = error.args[0]
    return inner.code() if isinstance(inner, KafkaError) else KafkaError.UNKNOWN


def _said(error: KafkaException) -> str:
    inner = error.args[0]
    return inner.str() if isinstance(inner, KafkaError) else str(error)


def _view(metadata: Any) -> ClusterView:
    brokers = {broker.id: f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()}
    topics = {name: _partitions(topic) for name, topic in metadata.topics.items() if topic.error is None}
    return ClusterView(metadata.cluster_id or "", brokers, topics)


def _partitions(topic: Any) -> tuple[Partition, ...]:
    return tuple(
        Partition(number, it.leader if it.leader >= 0 else None, tuple(it.replicas), tuple(it.isrs))
        for number, it in sorted(topic.partitions.items())
    )
