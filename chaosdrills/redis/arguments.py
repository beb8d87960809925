"""The arguments of the Redis workload, checked before anything is connected."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chaosdrills.core.values import count, mapping, refuse_unknown, seconds_of_a_day, truth
from chaosdrills.errors import UsageError
from chaosdrills.observe.payload import filler
from chaosdrills.redis.finding import CONNECT_TIMEOUT_S
from chaosdrills.redis.url import RedisUrl

REPLICA, PRIMARY, NOTHING = READ_FROM = ("replica", "primary", "nothing")
LEDGER, REGISTER = KINDS = ("ledger", "register")
PLAIN, WATCHFUL = CLIENTS = ("plain", "watchful")
FOR_REGISTERS = ("retire_s", "reads_per_s")
MOST_CONNECTIONS = 500
MOST_READS_PER_S = 1_000  # of one connection, one at a time
MOST_REPLICAS = 100
HINT = "write 'reply', 'WAIT 1' (replicas), or 'WAITAOF 1 0' (itself, replicas)."


@dataclass(frozen=True)
class Acknowledgement:
    """What acknowledges a write: the reply, and the counts that ``WAIT`` or ``WAITAOF`` must reach, if any.

    `command` is empty, ``WAIT`` or ``WAITAOF``.
    """

    command: str = ""
    counts: tuple[int, ...] = ()

    @staticmethod
    def of(text: str) -> "Acknowledgement":
        """``reply``, ``WAIT n`` or ``WAITAOF local n``. Raises `UsageError`."""
        command, *numbers = text.upper().split()
        if (command, len(numbers)) == ("REPLY", 0):
            return Acknowledgement()
        if (command, len(numbers)) not in (("WAIT", 1), ("WAITAOF", 2)) or not all(it.isdecimal() for it in numbers):
            raise UsageError(f"the acknowledgement is {text!r}.", HINT)
        counts = tuple(int(it) for it in numbers)
        if not any(counts) or max(counts) > MOST_REPLICAS or (command == "WAITAOF" and counts[0] > 1):
            raise UsageError(f"the acknowledgement {text!r} promises nothing that a Redis can keep.", HINT)
        return Acknowledgement(command, counts)

    def __str__(self) -> str:
        return " ".join([self.command, *map(str, self.counts)]) if self.command else "reply"


@dataclass(frozen=True)
class Arguments:
    """What `RedisWorkload` takes.

    `url`: see `chaosdrills.redis.url`. `kind`: ``ledger``, unique keys that stay, or ``register``, keys that are
    written over. `acknowledgement`: ``reply``, ``WAIT n`` or ``WAITAOF local n``: what makes a write acknowledged;
    below n it is unknown. `wait_timeout_s`: how long WAIT may take. `connections`: how many, each a stream of a ledger.
    `old_connections`: how many more that stay at the address of the first primary, whoever leads later, as clients do
    that ask nobody: streams "old-0" and so on of a ledger. `pipeline`: how many writes a connection may have sent that
    are not answered yet. `payload_bytes`: of each value. `client`: ``watchful``, or ``plain``, as redis-py before 8 and
    Feast are by default: no limit to an answer, and who leads is asked only where there is no connection.
    `connect_timeout_s` bounds connecting to one server, `answer_timeout_s` the wait for an answer, after which the
    connection is given up. `read_from`: ``replica``, ``primary`` or ``nothing``: where it is looked how fresh data is
    (default ``replica``), or where registers are read (default ``primary``), `reads_per_s` a second. `retire_s`: for
    how long a register is written to. `keep_keys`: the drill's keys stay. `secrets`: the experiment's, group redis.
    """

    url: str = field(repr=False)
    kind: str = LEDGER
    acknowledgement: str = "reply"
    wait_timeout_s: float = 1.0
    connections: int = 8
    old_connections: int = 0
    pipeline: int = 32
    payload_bytes: int = 100
    client: str = WATCHFUL
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    answer_timeout_s: float = 2.0
    read_from: str = ""
    reads_per_s: int = 50
    retire_s: float = 1.0
    keep_keys: bool = False
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Arguments":
        """Check `given`. Raises `UsageError` that names what is wrong and shows no secret."""
        _refuse_unknown(given)
        if "url" not in given:
            raise UsageError(
                "the Redis workload was given no url.", "give 'redis+sentinel://host:26379,host:26379/name'."
            )
        values = {name: _CHECKS.get(name, _text)(name, value) for name, value in given.items()}
        values.setdefault("read_from", PRIMARY if values.get("kind") == REGISTER else REPLICA)
        arguments = Arguments(**values)
        arguments._require_sense()
        return arguments

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Check what is known of `given` before a run: values with ``${...}`` in them are not. Raises `UsageError`."""
        _refuse_unknown(given)
        known = {name: value for name, value in given.items() if "${" not in str(value)}
        if "url" in given:
            Arguments.of({"url": "redis://localhost", **known})

    def _require_sense(self) -> None:
        for name, known in (("client", CLIENTS), ("kind", KINDS), ("read_from", READ_FROM)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}.", f"use one of {', '.join(known)}.")
        if self.reads_per_s > MOST_READS_PER_S:
            raise UsageError(f"reads_per_s is {self.reads_per_s}.", f"use up to {MOST_READS_PER_S}.")
        if self.lanes > MOST_CONNECTIONS:
            raise UsageError(f"{self.lanes} connections are too many.", f"use up to {MOST_CONNECTIONS}.")
        if self.old_connections and self.overwrites:
            raise UsageError(
                "old_connections are for ledgers: registers are judged all together, so theirs could not be told.",
                "leave old_connections out, or use the kind 'ledger'.",
            )
        filler(self.payload_bytes)
        _ = self.where, self.acknowledged_by

    @property
    def where(self) -> RedisUrl:
        """The URL, taken apart."""
        return RedisUrl.of(self.url, self.secrets)

    @property
    def acknowledged_by(self) -> Acknowledgement:
        """What acknowledges a write."""
        return Acknowledgement.of(self.acknowledgement)

    @property
    def lanes(self) -> int:
        """All connections."""
        return self.connections + self.old_connections

    @property
    def overwrites(self) -> bool:
        """Whether keys are written over."""
        return self.kind == REGISTER

    @property
    def watchful(self) -> bool:
        """Whether the client gives up what does not answer."""
        return self.client == WATCHFUL

    def streams(self) -> list[str]:
        """The names of a ledger's streams."""
        return [*map(str, range(self.connections)), *(f"old-{it}" for it in range(self.old_connections))]

    def facts(self) -> dict[str, Any]:
        """What of this may be written down: no address, no secret."""
        names = ("connections", "old_connections", "pipeline", "payload_bytes", "client", "read_from")
        return {
            **{name: getattr(self, name) for name in names},
            "acknowledgement": str(self.acknowledged_by),
            "by": self.where.mode,
            **({"wait_timeout_s": self.wait_timeout_s} if self.acknowledged_by.command else {}),
            **({name: getattr(self, name) for name in FOR_REGISTERS} if self.overwrites else {}),
            **({"answer_timeout_s": self.answer_timeout_s} if self.watchful else {}),
        }


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    refuse_unknown("the Redis workload", given, [it.name for it in fields(Arguments)])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{name} is not a text.", "give a text.")
    return value


def _none_or_more(name: str, value: Any) -> int:
    return 0 if re.fullmatch(r"0+", str(value)) else count(name, value)


_CHECKS: Mapping[str, Any] = {
    "keep_keys": truth,
    "connections": count,
    "old_connections": _none_or_more,
    "reads_per_s": count,
    "retire_s": seconds_of_a_day,
    "pipeline": count,
    "payload_bytes": count,
    "connect_timeout_s": seconds_of_a_day,
    "answer_timeout_s": seconds_of_a_day,
    "wait_timeout_s": seconds_of_a_day,
    "secrets": mapping,
}
