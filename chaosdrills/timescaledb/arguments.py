"""The arguments of the PostgreSQL workload, checked before anything is connected."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chaosdrills.core.values import count, mapping, refuse_unknown, seconds_of_a_day, truth
from chaosdrills.errors import UsageError
from chaosdrills.observe.payload import filler
from chaosdrills.timescaledb.dsn import CLIENTS, CONNECT_TIMEOUT_S, PLAIN, WATCHFUL, Dsn
from chaosdrills.timescaledb.patroni import Patroni, patroni_of
from chaosdrills.timescaledb.way import of_libpq

REPLICA, PRIMARY, NOTHING = READ_FROM = ("replica", "primary", "nothing")
LEDGER, REGISTER = KINDS = ("ledger", "register")
FOR_REGISTERS = ("retire_s", "reads_per_s")
MOST_CONNECTIONS = 500
MOST_READS_PER_S = 1_000  # of one connection, one at a time


@dataclass(frozen=True)
class Arguments:
    """What `TimescaleDBWorkload` takes.

    `dsn`: see `chaosdrills.timescaledb.dsn`. `schema`: the drill's own, made for it (default
    ``chaosdrills_<drill id>``) and dropped at the end of a whole drill unless `keep_schema`. `connections`: how many,
    each a stream. `pipeline`: how many inserts a connection may have sent that are not answered yet. `payload_bytes`:
    of each row. `client`: ``watchful``, or ``plain`` for libpq's own settings. `connect_timeout_s` bounds connecting to
    one server, `answer_timeout_s` the wait for the answer to a write, after which the connection is given up; the
    plain client has neither, but for reads of registers. `kind`: ``ledger``, whose rows are inserted and stay, or
    ``register``, whose rows are written over. `read_from`: ``replica``, ``primary`` or ``nothing``: where it is looked
    how fresh data is (default ``replica``), or where registers are read (default ``primary``), `reads_per_s` a second.
    `retire_s`: for how long a register is written to. `patroni` and `patroni_auth_file`: as the configuration's
    `timescaledb_patroni` and its file; with them it is watched how much WAL a failover leaves behind
    (`chaosdrills.timescaledb.lag`). `secrets`: what the experiment keeps among its secrets, such as the password:
    libpq's parameters, and Patroni's credentials.
    """

    dsn: str = field(repr=False)
    schema: str = ""
    keep_schema: bool = False
    connections: int = 8
    pipeline: int = 32
    payload_bytes: int = 100
    client: str = WATCHFUL
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    answer_timeout_s: float = 5.0
    kind: str = LEDGER
    read_from: str = ""
    reads_per_s: int = 50
    retire_s: float = 1.0
    patroni: str = ""
    patroni_auth_file: str = ""
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(drill_id: str, given: Mapping[str, Any]) -> "Arguments":
        """Check `given` for the drill `drill_id`. Raises `UsageError` that names what is wrong and shows no secret."""
        _refuse_unknown(given)
        if "dsn" not in given:
            raise UsageError(
                "the PostgreSQL workload was given no dsn.", "give 'postgresql://user@host:5432,host:5432/database'."
            )
        values = {name: _CHECKS.get(name, _text)(name, value) for name, value in given.items()}
        kind = values.get("kind", LEDGER)
        values.setdefault("read_from", PRIMARY if kind == REGISTER else REPLICA)
        arguments = Arguments(**{**values, "schema": values.get("schema") or own_name(drill_id)})
        arguments._require_sense()
        return arguments

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Check what is known of `given` before a run: values with ``${...}`` in them are not. Raises `UsageError`."""
        _refuse_unknown(given)
        known = {name: value for name, value in given.items() if "${" not in str(value)}
        if "dsn" in given:
            Arguments.of("0" * 8, {"dsn": "host=localhost", **known})

    def _require_sense(self) -> None:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", self.schema):
            raise UsageError(f"{self.schema!r} is not a schema's name.", "use up to 63 of a-z 0-9 _, no digit first.")
        for name, known in (("client", CLIENTS), ("kind", KINDS), ("read_from", READ_FROM)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}.", f"use one of {', '.join(known)}.")
        if self.reads_per_s > MOST_READS_PER_S:
            raise UsageError(f"reads_per_s is {self.reads_per_s}.", f"use up to {MOST_READS_PER_S}.")
        if self.connections > MOST_CONNECTIONS:
            raise UsageError(f"{self.connections} connections are too many.", f"use up to {MOST_CONNECTIONS}.")
        filler(self.payload_bytes)
        _ = self.where, self.its_patroni

    @property
    def where(self) -> Dsn:
        """The DSN, taken apart."""
        return Dsn.of(self.dsn, of_libpq(self.secrets))

    @property
    def overwrites(self) -> bool:
        """Whether rows are written over."""
        return self.kind == REGISTER

    @property
    def its_patroni(self) -> Patroni | None:
        """Patroni, if it is known."""
        told = {"timescaledb_patroni": self.patroni, "timescaledb_patroni_auth_file": self.patroni_auth_file}
        return patroni_of(told, self.secrets)

    @property
    def watchful(self) -> bool:
        """Whether the client gives up what does not answer."""
        return self.client != PLAIN

    def facts(self) -> dict[str, Any]:
        """What of this may be written down: no address, no secret."""
        timeouts = {"connect_timeout_s": self.connect_timeout_s, "answer_timeout_s": self.answer_timeout_s}
        return {
            "schema": self.schema,
            "connections": self.connections,
            "pipeline": self.pipeline,
            "payload_bytes": self.payload_bytes,
            "client": self.client,
            "read_from": self.read_from,
            **({name: getattr(self, name) for name in FOR_REGISTERS} if self.overwrites else {}),
            **(timeouts if self.watchful else {}),
        }


def own_name(drill_id: str) -> str:
    """The name of what a drill makes for itself: its schema."""
    return ("chaosdrills_" + re.sub(r"[^a-z0-9_]", "_", drill_id.lower()))[:63]


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    refuse_unknown("the PostgreSQL workload", given, [it.name for it in fields(Arguments)])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} is not a text.", "give a text.")
    return value


_CHECKS: Mapping[str, Any] = {
    "keep_schema": truth,
    "connections": count,
    "reads_per_s": count,
    "retire_s": seconds_of_a_day,
    "pipeline": count,
    "payload_bytes": count,
    "connect_timeout_s": seconds_of_a_day,
    "answer_timeout_s": seconds_of_a_day,
    "secrets": mapping,
}
