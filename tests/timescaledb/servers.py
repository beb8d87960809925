"""What the tests on real PostgreSQL servers share: sessions of one's own, past anything that is tested."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import timescaledb


def dsn_of(lab: Cluster) -> str:
    """How the lab is reached."""
    return timescaledb.configuration(lab)["timescaledb_dsn"]


def settings(lab: Cluster, **more: str) -> dict[str, str]:
    """The configuration of an experiment on the lab."""
    return {**timescaledb.configuration(lab), **more}


@contextmanager
def session(lab: Cluster, node: Node | None = None) -> Iterator[psycopg.Connection]:
    """A session of the drill's user on the primary, or on one node; each statement commits by itself."""
    where = {} if node is None else dict(zip(("host", "port"), node.endpoint.split(":"), strict=True))
    attributes = "read-write" if node is None else "any"
    with psycopg.connect(dsn_of(lab), autocommit=True, target_session_attrs=attributes, **where) as connection:
        yield connection


def ask(lab: Cluster, sql: str, node: Node | None = None) -> object:
    """The first value that `sql` answers on the primary, or on one node."""
    with session(lab, node) as connection:
        row = connection.execute(sql).fetchone()
        return row[0] if row else None


def superuser(lab: Cluster, node: Node | None = None) -> "psycopg.Connection[tuple[object, ...]]":
    """A session of the superuser in the drill's database, on the primary or on one node."""
    node = node or primary(lab)
    told = json.loads((Path(node.cwd) / "secrets" / f"node-{node.id}.yml").read_text())
    login = told["postgresql"]["authentication"]["superuser"]
    host, port = node.endpoint.split(":")
    return psycopg.connect(
        host=host, port=port, user=login["username"], password=login["password"], dbname="drill", autocommit=True
    )


def servers(lab: Cluster) -> list[Node]:
    """The nodes that are PostgreSQL."""
    return [node for node in lab.nodes if node.kind == timescaledb.POSTGRESQL]


def primary(lab: Cluster) -> Node:
    """The node that takes writes, asked of the servers themselves."""
    (found,) = [node for node in servers(lab) if not ask(lab, "SELECT pg_is_in_recovery()", node)]
    return found


def replica(lab: Cluster) -> Node:
    """The node that follows."""
    (found,) = [node for node in servers(lab) if ask(lab, "SELECT pg_is_in_recovery()", node)]
    return found


def schemas(lab: Cluster) -> set[str]:
    """The schemas of drills that are there."""
    with session(lab) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chaosdrills%'").fetchall()
        return {row[0] for row in rows}


def wait_whole(lab: Cluster, timeout_s: float = 90) -> None:
    """Wait until one leads and the other streams from it, and is synchronous."""
    whole = wait_until(lambda: not timescaledb.awaited(lab), timeout_s, 0.2)
    assert whole, f"not whole: {timescaledb.awaited(lab)}"
