"""The arguments of the PostgreSQL workload, checked before anything is connected."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chaosdrills.core.values import count, mapping, refuse_unknown, seconds_of_a_day, truth
from chaosdrills.errors import UsageError
from chaosdrills.timescaledb.dsn import CLIENTS, CONNECT_TIMEOUT_S, PLAIN, WATCHFUL, Dsn
from chaosdrills.timescaledb.payload import filler
from chaosdrills.timescaledb.way import of_libpq

REPLICA, PRIMARY, NOTHING = READ_FROM = ("replica", "primary", "nothing")
MOST_CONNECTIONS = 500


@dataclass(frozen=True)
class Arguments:
    """What `TimescaleDBWorkload` takes.

    `dsn`: see `chaosdrills.timescaledb.dsn`. `schema`: the drill's own, made for it (default
    ``chaosdrills_<drill id>``) and dropped at the end of a whole drill unless `keep_schema`. `connections`: how many,
    each a stream. `pipeline`: how many inserts a connection may have sent that are not answered yet. `payload_bytes`:
    of each row. `client`: ``watchful``, or ``plain`` for libpq's own settings. `connect_timeout_s` bounds connecting to
    one server, `answer_timeout_s` the wait for the answer to an insert, after which the connection is given up; the
    plain client has neither. `read_from`: ``replica``, ``primary`` or ``nothing``: where it is looked how fresh data
    is. `secrets`: what the experiment keeps among its secrets, such as the password: libpq's parameters.
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
    read_from: str = REPLICA
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
        for name, value, known in (("client", self.client, CLIENTS), ("read_from", self.read_from, READ_FROM)):
            if value not in known:
                raise UsageError(f"{name} is {value!r}.", f"use one of {', '.join(known)}.")
        if self.connections > MOST_CONNECTIONS:
            raise UsageError(f"{self.connections} connections are too many.", f"use up to {MOST_CONNECTIONS}.")
        filler(self.payload_bytes)
        _ = self.where

    @property
    def where(self) -> Dsn:
        """The DSN, taken apart."""
        return Dsn.of(self.dsn, of_libpq(self.secrets))

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
    "pipeline": count,
    "payload_bytes": count,
    "connect_timeout_s": seconds_of_a_day,
    "answer_timeout_s": seconds_of_a_day,
    "secrets": mapping,
}
