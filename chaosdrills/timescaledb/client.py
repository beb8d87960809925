"""The PostgreSQL client: libpq without blocking, in which every wait is bounded. The only module that imports psycopg.

`Opening` is a connection that is being made, `Session` one that answers one query at a time; the load works on the
`PGconn` itself (`chaosdrills.observe.sending`). No message here shows a connection string.
"""

import re
import select
import time
from collections.abc import Mapping, Sequence
from typing import Any

from chaosdrills.errors import UnavailableError, UsageError

try:
    from psycopg import Error as PsycopgError
    from psycopg import __version__ as psycopg_version
    from psycopg.pq import (
        Conninfo,
        ConnStatus,
        DiagnosticField,
        ExecStatus,
        PollingStatus,
        version,
    )
    from psycopg.pq import PGconn as Libpq
    from psycopg.pq.abc import PGconn, PGresult
except ImportError as missing:
    raise UnavailableError(
        f"the PostgreSQL driver is not installed: {missing}.", "run pip install 'chaosdrills[timescaledb]'."
    ) from missing

__all__ = ["DiagnosticField", "ExecStatus", "PGconn", "PGresult", "PsycopgError"]

GOOD = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY)
# What no waiting mends: libpq tells a connection's error as a text only. Servers may speak another language than this.
_REFUSALS = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba\.conf entry|permission denied|"
    r"certificate|server does not support SSL|SSL required|role .* is not permitted"
)
_WHERE = re.compile(r'^connection to server (at|on) ("[^"]*"(, port \d+)?|socket "[^"]*") failed: ')

_HINTS = {
    "53100": "make room on the server's disk.",
    "53300": "lower connections, or raise the server's max_connections.",
    "57014": "it was cancelled: see whether statement_timeout is too short for the drill's user.",
}

Row = list[str | None]


class ServerError(UnavailableError):
    """What a server answered to a query: `sqlstate` is its five letters, empty where the connection was lost."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message, _HINTS.get(sqlstate, "look at the server's log."))
        self.sqlstate = sqlstate


class SilenceError(ServerError):
    """A server that has not answered in time: it may go on with its work all the same."""


class ConnectionRefused(Exception):
    """A connection was not made: `final` if trying again will not help (a wrong password, no such database)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.final = _REFUSALS.search(why) is not None


def versions() -> dict[str, str]:
    """The versions of psycopg and libpq."""
    number = version()
    return {"psycopg": psycopg_version, "libpq": f"{number // 10_000}.{number % 10_000}"}


def parsed(conninfo: str) -> dict[str, str]:
    """The parameters that a URI or a keyword/value string gives. Raises `UsageError`, showing nothing of it."""
    try:
        options = Conninfo.parse(conninfo.encode())
    except (PsycopgError, ValueError) as error:
        raise UsageError(
            "the PostgreSQL connection string (DSN) cannot be understood.",
            "write it as 'postgresql://user@host:5432,host:5432/database', or as 'host=... dbname=...'.",
        ) from error
    return {it.keyword.decode(): it.val.decode() for it in options if it.val is not None}


def joined(parameters: Mapping[str, Any]) -> bytes:
    """The connection string of these parameters."""
    escapes = str.maketrans({"\\": r"\\", "'": r"\'"})
    return " ".join(f"{name}='{str(value).translate(escapes)}'" for name, value in parameters.items()).encode()


def told(pgconn: PGconn) -> str:
    """What libpq last said went wrong with a connection: its first line, without the address and without advice."""
    text = (pgconn.error_message or b"").decode(errors="replace").strip()
    lines = [_WHERE.sub("", line).strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"\s+", " ", lines[0]) if lines else "the connection was closed"


class Opening:
    """A connection that is being made. It blocks nowhere; names are resolved before (`chaosdrills.timescaledb.dsn`)."""

    def __init__(self, conninfo: bytes) -> None:
        try:
            self.pgconn: PGconn = Libpq.connect_start(conninfo)
        except PsycopgError as error:
            raise ConnectionRefused(str(error)) from error
        self.pgconn.notice_handler = None
        self._wants = PollingStatus.WRITING
        if self.pgconn.status == ConnStatus.BAD:
            raise ConnectionRefused(told(self.pgconn))

    @property
    def descriptor(self) -> tuple[int, int]:
        """What to wait for: the socket and select.poll's events."""
        return self.pgconn.socket, select.POLLIN if self._wants == PollingStatus.READING else select.POLLOUT

    def step(self) -> bool:
        """Go on; true once the connection is made. Raises `ConnectionRefused`."""
        self._wants = PollingStatus(self.pgconn.connect_poll())
        if self._wants == PollingStatus.FAILED:
            why = told(self.pgconn)
            self.close()
            raise ConnectionRefused(why)
        return self._wants == PollingStatus.OK

    def close(self) -> None:
        """Give it up."""
        self.pgconn.finish()


class Session:
    """One connection that is used by one thread, one query at a time."""

    def __init__(self, pgconn: PGconn) -> None:
        self.pgconn = pgconn

    @property
    def address(self) -> str:
        """The server it leads to, ``host:port``."""
        return f"{self.pgconn.host.decode()}:{self.pgconn.port.decode()}"

    def reported(self, name: str) -> str:
        """A setting that the server reports by itself ("in_hot_standby"); empty if it does not."""
        return (self.pgconn.parameter_status(name.encode()) or b"").decode()

    def is_pooled(self, timeout_s: float) -> bool:
        """Whether a pooler stands between: the server's process is then not the one that libpq was told of."""
        return self.query("SELECT pg_backend_pid()", timeout_s)[0][0] != str(self.pgconn.backend_pid)

    def query(self, sql: str, timeout_s: float, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows that `sql` answers, as texts. Raises `ServerError`; a server that is too slow is hung up on."""
        values = [None if it is None else str(it).encode() for it in parameters]
        try:
            if values:
                self.pgconn.send_query_params(sql.encode(), values)
            else:
                self.pgconn.send_query(sql.encode())
            return _rows(self._results(time.monotonic() + timeout_s, timeout_s))
        except PsycopgError as error:
            raise ServerError(f"the connection to {self.address} was lost: {str(error).strip()}.") from error

    def prepare(self, name: str, sql: str, timeout_s: float) -> None:
        """Have the server know `sql` by `name`. Raises `ServerError`."""
        try:
            self.pgconn.send_prepare(name.encode(), sql.encode())
            _rows(self._results(time.monotonic() + timeout_s, timeout_s))
        except PsycopgError as error:
            raise ServerError(f"the connection to {self.address} was lost: {str(error).strip()}.") from error

    def close(self) -> None:
        """End the connection."""
        self.pgconn.finish()

    def _results(self, deadline: float, timeout_s: float) -> list[PGresult]:
        """All results of what was sent."""
        results: list[PGresult] = []
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        while True:
            while not self.pgconn.is_busy():
                result = self.pgconn.get_result()
                if result is None:
                    return results
                results.append(result)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                address = self.address
                self.close()
                raise SilenceError(f"the server at {address} did not answer within {timeout_s:g} s.")
            self.pgconn.consume_input()


def _rows(results: Sequence[PGresult]) -> list[Row]:
    """The rows of the last result. Raises `ServerError` for one that is an error."""
    rows: list[Row] = []
    for result in results:
        if result.status not in GOOD:
            sqlstate, message = error_of(result)
            raise ServerError(f"the server says: {message}.", sqlstate=sqlstate)
        columns = range(result.nfields)
        rows = [[_text(result.get_value(row, column)) for column in columns] for row in range(result.ntuples)]
    return rows


def error_of(result: PGresult) -> tuple[str, str]:
    """The SQLSTATE of a failed result, empty if it has none, and its primary message."""
    sqlstate = result.error_field(DiagnosticField.SQLSTATE) or b""
    message = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message or b"no reason given"
    return sqlstate.decode(), message.decode(errors="replace").strip().rstrip(".")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
