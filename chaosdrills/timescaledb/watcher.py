"""The watcher beside the load: it looks at every server of the DSN twice a second, whichever the load writes to.

A thread and a connection for each, so that one that does not answer keeps it from no other. What the looks prove is in
`chaosdrills.timescaledb.sightings`.
"""

import logging
import threading
from dataclasses import replace

from chaosdrills.errors import DrillError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.timescaledb.client import Session
from chaosdrills.timescaledb.dsn import WATCHFUL, Host
from chaosdrills.timescaledb.finding import ANY, Client
from chaosdrills.timescaledb.sightings import Check, Sighting, Witness

logger = logging.getLogger(__name__)

EVERY_S = 0.5
FIND_S = 1.0
ANSWER_S = 1.0
STOP_S = 5.0
# Who may not see what a standby does is told nothing (NULL): then commits may well be confirmed.
LOOK = """
    SELECT pg_is_in_recovery(), inet_server_addr(), inet_server_port(), pg_postmaster_start_time(),
        current_setting('default_transaction_read_only') = 'off' AND (
            current_setting('synchronous_standby_names') = ''
            OR current_setting('synchronous_commit') IN ('off', 'local')
            OR EXISTS (SELECT FROM pg_stat_replication
                       WHERE sync_state IS NULL OR (state = 'streaming' AND sync_state IN ('sync', 'quorum')))),
        CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END,
        CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_current_wal_flush_lsn() - '0/0' END::bigint,
        extract(epoch FROM clock_timestamp())"""


class Watcher:
    """Looks at all servers of a DSN until it is stopped."""

    def __init__(self, client: Client) -> None:
        self._witness = Witness(boottime_ns())
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=each, name=f"watcher {each[0].label}", daemon=True)
            for each in zip(client.dsn.hosts, replace(client, kind=WATCHFUL).each(), strict=True)
        ]

    def start(self) -> None:
        """Start looking."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop looking; waits at most 5 s for each thread."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_S)

    def checks(self) -> list[Check]:
        """What was seen; see `Witness.checks`."""
        with self._lock:
            return self._witness.checks()

    def _run(self, host: Host, client: Client) -> None:
        session: Session | None = None
        while not self._stop.is_set():
            try:
                session = session or client.find(ANY, FIND_S, patient=True, stopped=self._stop.is_set)
                self._note(host.label, look(session, host.label))
            except Exception as error:
                if not isinstance(error, DrillError):
                    logger.exception("a look at %s failed", host.label)
                if session is not None:
                    session.close()
                    session = None
                self._note(host.label, None)
            self._stop.wait(EVERY_S)
        if session is not None:
            session.close()

    def _note(self, server: str, seen: Sighting | None) -> None:
        """Have the witness take it, and say at once what it finds."""
        with self._lock:
            if seen is None:
                self._witness.miss(server)
            else:
                self._witness.see(seen)
            news = [(name, detail) for name, ok, detail in self._witness.checks() if not ok and name not in self._told]
            self._told.update(name for name, _ in news)
        for name, detail in news:
            logger.warning("%s: %s", name, detail)


def look(session: Session, server: str) -> Sighting:
    """One look at the server that is called `server`. Raises `ServerError`."""
    begun_ns = boottime_ns()
    (row,) = session.query(LOOK, ANSWER_S)
    standby, address, port, started, open_to_writes, segment, position, clock_s = (text or "" for text in row)
    leads = standby == "f"
    return Sighting(
        server, f"{address}:{port}", started, begun_ns, boottime_ns(),
        leads=leads, takes_writes=leads and open_to_writes == "t", timeline=int(segment[:8] or "0", 16),
        position=int(position or 0), clock_s=float(clock_s),
    )  # fmt: skip
