"""A connection string (DSN): which hosts it names, and how each of them is connected to.

Any form that libpq takes, with one host or many: ``postgresql://user@one:5432,two:5432/database?sslmode=require``, or
``host=one,two dbname=database user=user``. Passwords may stand in it, or in a `passfile`, or in PGPASSWORD.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.errors import UsageError
from chaosdrills.timescaledb.client import joined, parsed

PORT = "5432"
PLAIN, WATCHFUL = CLIENTS = ("plain", "watchful")
# What a client needs to notice within seconds that a server is gone without a word. libpq's own: connecting without
# limit, TCP keepalives after two hours, lost packets repeated for a quarter of an hour.
WATCHFUL_PARAMETERS: Mapping[str, Any] = {
    "tcp_user_timeout": 4000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}
CONNECT_TIMEOUT_S = 2.0
# Parameters that would make the drill measure something else than it says.
RESERVED: Mapping[str, str] = {
    "service": "give host, port and database themselves: drills must know which servers they talk to.",
    "replication": "leave it out: a drill writes as an application does.",
    "target_session_attrs": "leave it out: the drill looks for the server it needs.",
    "load_balance_hosts": "leave it out: the drill looks for the server it needs.",
    "client_encoding": "leave it out: the drill uses UTF-8.",
}


@dataclass(frozen=True)
class Host:
    """One server of a DSN; `address` is a numeric one, if it is known."""

    name: str
    port: str
    address: str = ""

    @property
    def label(self) -> str:
        """As a reader knows it: ``host:port``."""
        return f"{self.name or self.address or 'localhost'}:{self.port or PORT}"


@dataclass(frozen=True)
class Dsn:
    """A DSN taken apart: its hosts in order, and all else, which may hold a password."""

    hosts: tuple[Host, ...]
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(text: object, secrets: Mapping[str, Any] | None = None) -> "Dsn":
        """The DSN in `text`, `secrets` (libpq's parameters, such as a password) over it. Raises `UsageError`."""
        if not isinstance(text, str) or not text.strip():
            raise UsageError(
                "there is no PostgreSQL connection string (DSN).",
                "give it as 'postgresql://user@host:5432,host:5432/database' (TIMESCALEDB_DSN).",
            )
        given = {**parsed(text), **{name: str(value) for name, value in (secrets or {}).items()}}
        for name, hint in RESERVED.items():
            if name in given:
                raise UsageError(f"the DSN sets {name}, which is the drill's own.", hint)
        names, addresses, ports = (given.pop(name, "").split(",") for name in ("host", "hostaddr", "port"))
        count = max(len(names), len(addresses))
        if len(ports) not in (1, count) or any(len(it) not in (count,) and it != [""] for it in (names, addresses)):
            raise UsageError("the DSN's hosts and ports do not match.", "give one port, or one for each host.")
        if not all(port == "" or (port.isdecimal() and 0 < int(port) < 65_536) for port in ports):
            raise UsageError("a port in the DSN is no port.", "use numbers from 1 to 65535.")
        spread = [it * count if len(it) == 1 else it for it in (names, ports, addresses)]
        return Dsn(tuple(Host(*host) for host in zip(*spread, strict=True)), given)

    @property
    def addresses(self) -> str:
        """``host:port`` of every server, joined by commas: what tells one cluster from another."""
        return ",".join(host.label for host in self.hosts)

    @property
    def connect_timeout_s(self) -> float | None:
        """How long one server may take to answer, if the DSN says so."""
        given = self.parameters.get("connect_timeout", "")
        return float(given) if given.isdecimal() and int(given) else None

    def conninfo(self, host: Host, application: str, client: str = WATCHFUL, **more: Any) -> bytes:
        """The connection string for `host`; what the DSN says goes over what `client` means."""
        own = WATCHFUL_PARAMETERS if client == WATCHFUL else {}
        where = {"host": host.name, "port": host.port or PORT, "hostaddr": host.address.strip(",")}
        always = {"application_name": application, "client_encoding": "UTF8", **more}
        merged = {**own, **self.parameters, **{name: it for name, it in where.items() if it}, **always}
        return joined(merged)

    @property
    def all_at_once(self) -> Host:
        """All hosts as libpq takes them in one connection string."""
        columns = zip(*((it.name, it.port or PORT, it.address) for it in self.hosts), strict=True)
        return Host(*(",".join(values) for values in columns))

    def resolved(self) -> list[Host]:
        """The hosts with numeric addresses, one for each address of a name; unresolvable ones as they are.

        libpq looks names up itself, but holds up everything else in this process while it does.
        """
        found: list[Host] = []
        for host in self.hosts:
            found += _addresses_of(host)
        return found


def addresses(text: str) -> set[str]:
    """``host:port`` of every server that a DSN names; nothing if it names none that can be understood."""
    try:
        return set(Dsn.of(text).addresses.split(","))
    except UsageError:
        return set()


def _addresses_of(host: Host) -> list[Host]:
    if host.address or not host.name or host.name.startswith("/") or _is_numeric(host.name):
        return [host]
    try:
        answers = socket.getaddrinfo(host.name, host.port or PORT, type=socket.SOCK_STREAM)
    except OSError:
        return [host]
    return [Host(host.name, host.port, address) for address in dict.fromkeys(str(it[4][0]) for it in answers)]


def _is_numeric(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False
