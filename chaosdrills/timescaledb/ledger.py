"""The drill's ledger: a table in a schema of its own, and what is known of the server that it is made on.

``ledger(id, written_at, drill, stream, seq, payload, checksum)``: `id` is drawn by the server, in the order in which it
took the rows of a stream; the rest is in `chaosdrills.observe.payload`. Nothing is unique, so that what is written
twice is found twice. Where the extension TimescaleDB is in the database, it is a hypertable.
"""

from typing import Any

from chaosdrills.errors import UsageError
from chaosdrills.observe.payload import filler
from chaosdrills.timescaledb.client import ServerError, Session

TABLE = "ledger"
STATEMENT = "chaosdrills_insert"
ASK_S = 10.0
DENIED, EXISTS, READ_ONLY = "42501", "42P06", "25006"
EXTENSION = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
COLUMNS = """(
    id bigint GENERATED ALWAYS AS IDENTITY,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    drill text NOT NULL,
    stream integer NOT NULL,
    seq bigint NOT NULL,
    payload text NOT NULL,
    checksum bigint NOT NULL
)"""
FACTS = """
    SELECT current_setting('server_version'), current_setting('synchronous_commit'),
           current_setting('synchronous_standby_names') <> '', current_setting('default_transaction_isolation')"""


def make_schema(session: Session, schema: str) -> None:
    """Make the drill's schema. Raises `UsageError` for what is in the way."""
    try:
        session.query(f"CREATE SCHEMA {schema}", ASK_S)
    except ServerError as error:
        raise _explained(session, schema, error) from error


def make_table(session: Session, schema: str) -> dict[str, Any]:
    """Make the ledger; returns what is known of it. Raises `ServerError`."""
    session.query(f"CREATE TABLE {schema}.{TABLE} {COLUMNS}", ASK_S)
    version = _timescaledb(session)
    if version:
        make = "SELECT create_hypertable($1, 'written_at', create_default_indexes => false)"
        session.query(make, ASK_S, [f"{schema}.{TABLE}"])
    session.query(f"CREATE INDEX ON {schema}.{TABLE} (stream, seq)", ASK_S)
    return {"hypertable": bool(version), **({"timescaledb_version": version} if version else {})}


def facts(session: Session) -> dict[str, Any]:
    """What decides how durable a commit is, and which history the server is in: no names, no addresses."""
    version, commit, standbys, isolation = session.query(FACTS, ASK_S)[0]
    synchronous = standbys == "t" and commit not in ("off", "local")
    return {
        "server_version": version,
        "synchronous_commit": commit,
        "synchronous": synchronous,
        "isolation": isolation,
        "timeline": timeline_of(session),
        "pooled": session.is_pooled(ASK_S),
    }


def timeline_of(session: Session) -> int:
    """The timeline that a primary writes; 0 where it does not say."""
    try:
        name = session.query("SELECT pg_walfile_name(pg_current_wal_lsn())", ASK_S)[0][0] or ""
        return int(name[:8], 16)
    except (ServerError, ValueError):
        return 0


def insert_of(schema: str, drill: str, stream: int, payload_bytes: int) -> str:
    """The insert of one stream: its parameters are seq and checksum."""
    drill_text = drill.replace("'", "''")
    return (
        f"INSERT INTO {schema}.{TABLE} (drill, stream, seq, payload, checksum) "
        f"VALUES ('{drill_text}', {stream}, $1, '{filler(payload_bytes)}', $2)"
    )


def drop(session: Session, schema: str, timeout_s: float) -> None:
    """Remove schema and ledger. Raises `ServerError`."""
    session.query(f"DROP SCHEMA IF EXISTS {schema} CASCADE", timeout_s)


def remains(schema: str) -> str:
    """What stays of a drill that nobody has cleaned up after, in words."""
    return f"the schema {schema}; DROP SCHEMA {schema} CASCADE; removes it"


def _timescaledb(session: Session) -> str:
    """The version of the extension in this database; empty without it."""
    rows = session.query(EXTENSION, ASK_S)
    return (rows[0][0] or "") if rows else ""


def _explained(session: Session, schema: str, error: ServerError) -> UsageError | ServerError:
    """What keeps the schema from being made, and what to do about it."""
    if error.sqlstate == EXISTS:
        return UsageError(
            f"the schema {schema} is there already: it may hold the ledger of an earlier drill.",
            f"look at it, then DROP SCHEMA {schema} CASCADE; or name another one (the argument schema).",
        )
    if error.sqlstate == DENIED:
        database, user = session.query("SELECT quote_ident(current_database()), quote_ident(current_user)", ASK_S)[0]
        return UsageError(
            f"the user {user} may not make a schema in the database {database}.",
            f"have its owner run: GRANT CREATE ON DATABASE {database} TO {user};",
        )
    if error.sqlstate == READ_ONLY:
        return UsageError(
            "the server takes no writes: its transactions are read-only.", "name the primary among the DSN's hosts."
        )
    return error
