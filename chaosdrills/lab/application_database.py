"""How the lab's application reaches its database: a pool over a DSN of several hosts, every wait bounded.

The only modules that import psycopg are this one and `chaosdrills.timescaledb.client`: the application is somebody
else's program, and what its users wait for must not depend on how the drill itself connects.

What a careful application does: it takes only a server that takes writes (`target_session_attrs`), and looks again
before each use, for a primary may have become a standby meanwhile. It gives each request `BUDGET_S`, and breaks the
connection that is not done by then: a frozen server closes nothing, and answers no cancel either.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from chaosdrills.lab.application_metrics import Metrics

POOL_SIZE = 4
CONNECT_S = 2  # for each host; libpq's least
WAIT_S = 0.4  # for a connection of the pool
LOOK_S = 0.3  # for the look whether it still leads to a primary
BUDGET_S = 0.8  # for a whole request: who polls it gives it a second
RETRY_S = 2.0  # the pool's pauses double up to its `reconnect_timeout`, five minutes by default: users would see those
NEWEST = 10

Connection = psycopg.Connection[tuple[object, ...]]

logger = logging.getLogger("application.database")


class Down(Exception):
    """The database cannot be used now; its text says why, in a few words."""


class Database:
    """Notes in PostgreSQL. Methods may be called from any thread, and raise `Down`."""

    def __init__(self, dsn: str, metrics: Metrics) -> None:
        self._metrics = metrics
        self._trouble = "not tried yet"
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            dsn, kwargs=_settings(), min_size=1, max_size=POOL_SIZE, timeout=WAIT_S, reconnect_timeout=RETRY_S,
            check=_require_primary, name="staging", open=True,
        )  # fmt: skip

    def server(self) -> str:
        """Which server answers, by the address that leads to it."""
        return self._ask("SELECT 1")[1]

    def notes(self) -> tuple[int, list[str]]:
        """How many notes there are, and the newest."""
        rows, _ = self._ask("SELECT count(*) OVER (), text FROM staging.note ORDER BY id DESC LIMIT %s", (NEWEST,))
        return (int(str(rows[0][0])), [str(text) for _, text in rows]) if rows else (0, [])

    def add(self, text: str) -> None:
        """Write a note."""
        self._ask("INSERT INTO staging.note (text) VALUES (%s) RETURNING id", (text,))

    def pool(self) -> tuple[int, int, int]:
        """Connections that are idle and busy, and how many requests wait for one."""
        told = self._pool.get_stats()
        idle = told.get("pool_available", 0)
        return idle, max(0, told.get("pool_size", 0) - idle), told.get("requests_waiting", 0)

    def _ask(self, sql: str, values: tuple[object, ...] = ()) -> tuple[list[tuple[object, ...]], str]:
        """What the database answers, and the address of the server that did."""
        begun = time.monotonic()
        try:
            with self._pool.connection() as connection, _within(connection, begun + BUDGET_S - time.monotonic()):
                rows = connection.execute(sql, values).fetchall()
                server = f"{connection.info.host}:{connection.info.port}"
        except (PoolTimeout, psycopg.Error) as error:
            why = _why(error)
            self._metrics.errors.labels(type(error).__name__).inc()
            self._note(why)
            raise Down(why) from error
        finally:
            self._metrics.query_s.observe(time.monotonic() - begun)
        self._note("")
        return rows, server

    def _note(self, why: str) -> None:
        """Keep whether the database is up, and log when that changes."""
        self._metrics.up.set(0 if why else 1)
        if why != self._trouble:
            self._trouble = why
            logger.info("the database is %s", f"down: {why}" if why else "up")


def _settings() -> dict[str, object]:
    """What is asked of each connection, by libpq's names; the server gives up what takes longer than a request may."""
    return {
        "autocommit": True,
        "target_session_attrs": "read-write",
        "connect_timeout": CONNECT_S,
        "tcp_user_timeout": CONNECT_S * 1000,
        "options": f"-c statement_timeout={BUDGET_S * 1000:.0f}",
        "application_name": "staging application",
    }


def _require_primary(connection: Connection) -> None:
    """Raise `psycopg.Error` unless this connection still leads to a server that takes writes."""
    with _within(connection, LOOK_S):
        row = connection.execute("SHOW transaction_read_only").fetchone()
    if row != ("off",):
        raise psycopg.OperationalError("the server takes no writes any more")


@contextmanager
def _within(connection: Connection, seconds: float) -> Iterator[None]:
    """Break `connection` if the block lasts for longer."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        timer = threading.Timer(max(0.0, seconds), _break, [line])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _break(line: socket.socket) -> None:
    with suppress(OSError):  # it is broken already
        line.shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    if isinstance(error, PoolTimeout):
        return f"no connection to a server that takes writes within {WAIT_S:g} s"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
