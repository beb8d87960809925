"""The drill's registers: a table of rows that are written over and over, as an application that upserts does.

``register(key, drill, seq, payload, checksum)``: `key` is the number of the stream, the primary key; the rest is as in
the ledger, of the newest write. An older write never replaces a newer one: the upsert compares `seq`, and one that
changes nothing is answered with `NOT_APPLIED`.
"""

from collections.abc import Callable

from chaosdrills.core.history import NO_SEQ
from chaosdrills.observe.payload import filler
from chaosdrills.timescaledb.arguments import REPLICA, Arguments
from chaosdrills.timescaledb.client import ServerError, Session
from chaosdrills.timescaledb.finding import PRIMARY, STANDBY, Client, is_standby

TABLE = "register"
COLUMNS = """(
    key bigint PRIMARY KEY,
    drill text NOT NULL,
    seq bigint NOT NULL,
    payload text NOT NULL,
    checksum bigint NOT NULL
)"""
NOT_APPLIED = b"INSERT 0 0"
ASK_S = 10.0
FIND_S = 1.0


def make_table(session: Session, schema: str) -> dict[str, bool]:
    """Make the table, never a hypertable: those have no unique key without a time. Raises `ServerError`."""
    session.query(f"CREATE TABLE {schema}.{TABLE} {COLUMNS}", ASK_S)
    return {"hypertable": False}


def upsert_of(schema: str, drill: str, payload_bytes: int) -> str:
    """The upsert of any register: its parameters are key, seq and checksum."""
    drill_text = drill.replace("'", "''")
    return (
        f"INSERT INTO {schema}.{TABLE} AS old (key, drill, seq, payload, checksum) "
        f"VALUES ($1, '{drill_text}', $2, '{filler(payload_bytes)}', $3) ON CONFLICT (key) DO UPDATE "
        "SET drill = EXCLUDED.drill, seq = EXCLUDED.seq, payload = EXCLUDED.payload, checksum = EXCLUDED.checksum "
        "WHERE old.seq < EXCLUDED.seq"
    )


class RegisterSource:
    """The `Source` of register reads: the primary, or a standby and nothing else."""

    def __init__(self, arguments: Arguments, client: Client) -> None:
        self._client = client
        self._role = STANDBY if arguments.read_from == REPLICA else PRIMARY
        self._answer_s = arguments.answer_timeout_s
        self._sql = f"SELECT seq FROM {arguments.schema}.{TABLE} WHERE key = $1"
        self._session: Session | None = None

    def read(self, register: int, stopped: Callable[[], bool]) -> int:
        """The seq that the row holds, `NO_SEQ` without a row. Raises `DrillError`."""
        try:
            rows = self._connected(stopped).query(self._sql, self._answer_s, [register])
        except ServerError:
            self.close()
            raise
        return int(rows[0][0] or 0) if rows else NO_SEQ

    def close(self) -> None:
        """Hang up."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _connected(self, stopped: Callable[[], bool]) -> Session:
        """The connection in use, if it is still to a server of the role."""
        if self._session is not None and is_standby(self._session) != (self._role == STANDBY):
            self.close()
        if self._session is None:
            self._session = self._client.find(self._role, FIND_S, patient=True, stopped=stopped)
        return self._session
