"""The read-back: what is in the drill's table after the drill, through a fresh connection to the primary of then.

Before it reads, all other connections of the drill are ended and the table is locked against writers: a commit that
still waits for its standby would turn up later. Then everything is read, in the order in which the server took the
rows, and each row is looked at. A server that is in recovery, or in an older history than one that was written to,
cannot tell what is lost, and is an error; so are two primaries at once, and a change of timeline in the middle.
"""

import logging
import time
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator

from chaosdrills.core.history import NO_SEQ
from chaosdrills.errors import UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.payload import Opener
from chaosdrills.observe.workload import Progress, Survivors
from chaosdrills.timescaledb import ledger, overview, register
from chaosdrills.timescaledb.arguments import Arguments
from chaosdrills.timescaledb.client import Row, ServerError, Session
from chaosdrills.timescaledb.finding import PRIMARY, Client

logger = logging.getLogger(__name__)

BATCH = 10_000
LOCK_S = 2.0
OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid() "
    "AND usename = current_user AND backend_type = 'client backend'"
)
LOCKED_OUT = "55P03"
# Every wait here is bounded by itself: what an administrator means for applications would end it in the middle.
UNHURRIED = (
    "SELECT set_config(name, '0', true) FROM pg_settings "
    "WHERE name IN ('transaction_timeout', 'idle_in_transaction_session_timeout')"
)

Found = tuple[int, "array[int]"]


class ReadBack(ABC):
    """Reads the table of a drill. `foreign` counts rows that are not of it, `damaged` those that are not whole."""

    table = ""

    def __init__(self, arguments: Arguments, drill_id: str, client: Client, timelines: list[int], streams: int) -> None:
        self.foreign = 0
        self.damaged = 0
        self._drill_id = drill_id
        self._client = client
        self._newest = max(timelines, default=0)
        self._streams = streams
        self._table = f"{arguments.schema}.{self.table}"

    def run(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        """The survivors of each stream in turn. Raises `DrillError` if the end is not reached in time."""
        deadline = time.monotonic() + timeout_s
        progress("reading back: looking for the primary")
        session = self._client.find(PRIMARY, timeout_s, patient=True)
        try:
            overview.require_one_primary(self._client)
            logger.info("reads back from %s", session.address)
            timeline = self._require_history(session)
            begun_ns = boottime_ns()
            self._lock_out_writers(session, deadline, progress)
            for stream, seqs in self._read_all(session, deadline, progress):
                yield Survivors(stream, begun_ns, seqs)
            session.query("COMMIT", _left(deadline))
            if self._require_history(session) != timeline:
                raise UnavailableError("the server changed its timeline while it was read back.", "read back again.")
        finally:
            session.close()

    @abstractmethod
    def _read_all(self, session: Session, deadline: float, progress: Progress) -> Iterator[Found]:
        """What each stream holds."""

    def _require_history(self, session: Session) -> int:
        """The timeline that the primary writes, which must not be older than one that was written to."""
        if session.query("SELECT pg_is_in_recovery()", ledger.ASK_S)[0][0] != "f":
            raise UnavailableError(f"{session.address} is in recovery, so it cannot be read back.", "look at its log.")
        timeline = ledger.timeline_of(session)
        if timeline < self._newest:
            raise UnavailableError(
                f"{session.address} is on timeline {timeline}, and timeline {self._newest} was written to: its history "
                "goes back, so what is lost cannot be told.",
                "see whether there are two primaries.",
            )
        return timeline

    def _lock_out_writers(self, session: Session, deadline: float, progress: Progress) -> None:
        """End the drill's other connections, and begin a snapshot in which all that they have committed can be seen."""
        while True:
            progress("reading back: waiting for the end of every write")
            session.query(OTHERS, _left(deadline))
            session.query("BEGIN", _left(deadline))
            session.query("SET LOCAL statement_timeout = 0", _left(deadline))  # at once: the next takes its time
            session.query(UNHURRIED, _left(deadline))
            session.query(f"SET LOCAL lock_timeout = {round(LOCK_S * 1000)}", _left(deadline))
            try:
                session.query(f"LOCK TABLE {self._table} IN SHARE MODE", LOCK_S + _left(deadline))
                return
            except ServerError as error:
                if error.sqlstate != LOCKED_OUT or time.monotonic() >= deadline:
                    raise
                session.query("ROLLBACK", _left(deadline))

    def _rows(self, session: Session, chosen: str, deadline: float) -> Iterator[list[Row]]:
        """The rows that a query chooses, some at a time; the last time there may be none."""
        session.query(f"DECLARE survivors NO SCROLL CURSOR FOR {chosen}", _left(deadline))
        while True:
            rows = session.query(f"FETCH {BATCH} FROM survivors", _left(deadline))
            yield rows
            if len(rows) < BATCH:
                break
        session.query("CLOSE survivors", _left(deadline))

    def _open(self, row: Row, opener: Opener, seqs: "array[int]") -> None:
        """Look at one row: drill, seq, payload, checksum."""
        drill, seq, payload, checksum = (text or "" for text in row)
        if drill != self._drill_id:
            self.foreign += 1
        elif opener.is_whole(seq, payload, checksum):
            seqs.append(int(seq))
        else:
            self.damaged += 1
            seqs.append(NO_SEQ)


class LedgerReadBack(ReadBack):
    """Of a ledger, stream by stream."""

    table = ledger.TABLE

    def _read_all(self, session: Session, deadline: float, progress: Progress) -> Iterator[Found]:
        for stream in range(self._streams):
            seqs, opener = array("q"), Opener(self._drill_id, stream)
            chosen = f"SELECT drill, seq, payload, checksum FROM {self._table} WHERE stream = {stream} ORDER BY id"
            for rows in self._rows(session, chosen, deadline):
                for row in rows:
                    self._open(row, opener, seqs)
                progress(f"reading back: stream {stream}, {len(seqs):,} rows")
            yield stream, seqs
        outside = f"SELECT count(*) FROM {self._table} WHERE stream NOT BETWEEN 0 AND {self._streams - 1}"
        self.foreign += int(session.query(outside, _left(deadline))[0][0] or 0)


class RegisterReadBack(ReadBack):
    """Of registers: all of them at once, by their keys. One without a row holds nothing."""

    table = register.TABLE

    def _read_all(self, session: Session, deadline: float, progress: Progress) -> Iterator[Found]:
        key, seqs = 0, array("q")
        chosen = f"SELECT key, drill, seq, payload, checksum FROM {self._table} ORDER BY key"
        for rows in self._rows(session, chosen, deadline):
            progress(f"reading back: {key:,} of {self._streams:,} registers")
            for row in rows:
                found = int(row[0] or 0)
                if not 0 <= found < self._streams:
                    self.foreign += 1
                    continue
                while key < found:
                    yield key, seqs
                    key, seqs = key + 1, array("q")
                self._open(row[1:], Opener(self._drill_id, key), seqs)
        while key < self._streams:
            yield key, seqs
            key, seqs = key + 1, array("q")


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises `UnavailableError` if there are none."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise UnavailableError("the read-back was not done in time.", "give it more time, or look at the server.")
    return left_s
