"""Watches the primary's WAL beside the load, from a thread of its own: what a failover leaves behind is seen only then.

Ten times a second it asks the primary how far it has written. While nobody answers, it asks the standbys what they have
received. After a promotion it asks Patroni where the old timeline was left. See `chaosdrills.timescaledb.lag`.
"""

import logging
import time
from collections.abc import Iterator

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.observe.beside import Beside
from chaosdrills.timescaledb.client import Session, SilenceError
from chaosdrills.timescaledb.finding import PRIMARY, STANDBY, Client
from chaosdrills.timescaledb.lag import DEFAULT_LIMIT_BYTES, Track, judged
from chaosdrills.timescaledb.patroni import Patroni

logger = logging.getLogger(__name__)

POLL_S = 0.1
ANSWER_S = 1.0
FIND_S = 1.0
HISTORY_AGAIN_S = 1.0
DEFAULT_TTL_S = 30.0  # Patroni's own
WRITTEN = (
    "SELECT ('x' || substr(pg_walfile_name(lsn), 1, 8))::bit(32)::int, pg_wal_lsn_diff(lsn, '0/0')::bigint "
    "FROM pg_current_wal_flush_lsn() AS lsn"
)
# As Patroni does: a standby that was started again says of what it receives no more than the begin of a segment.
RECEIVED = (
    "SELECT coalesce(pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')::bigint, 0)"
)


class Failover:
    """Watches from `start` to `stop`."""

    def __init__(self, client: Client, patroni: Patroni) -> None:
        self._client = client
        self._patroni = patroni
        self._limit_bytes = DEFAULT_LIMIT_BYTES
        self._ttl_s = DEFAULT_TTL_S
        self._track = Track()
        self._switches: dict[int, int] = {}
        self._behind_bytes = 0
        self._missing_at: float | None = None
        self._history_at = 0.0
        self._session: Session | None = None
        self._beside = Beside(self._run, "failover")

    def require_limit(self) -> None:
        """Ask Patroni what it promises. Raises `DrillError` if nobody answers: then nothing could be judged."""
        told = self._patroni.configuration()
        ttl_s = told.get("ttl")
        self._limit_bytes = _bytes_of(told.get("maximum_lag_on_failover"))
        self._ttl_s = ttl_s if isinstance(ttl_s, int | float) else DEFAULT_TTL_S

    def start(self) -> None:
        """Start watching."""
        self._beside.start()

    def stop(self) -> None:
        """Stop watching; waits at most 10 s for the thread. Idempotent."""
        self._beside.stop()

    def checks(self) -> list[tuple[str, bool, str]]:
        """What is known of all failovers so far; nothing where there was none, and none was missing."""
        found = judged(list(self._track.ends.values()), self._switches, self._behind_bytes, self._limit_bytes)
        return [found] if found else []

    def _run(self) -> None:
        while not self._beside.stopped():
            try:
                self._look()
            except DrillError as error:
                self._lose(error.message, silent=isinstance(error, SilenceError))
            except Exception:
                logger.exception("the watch of the WAL starts again")
                self._lose("an unexpected error", silent=True)
            self._beside.wait(POLL_S)
        if self._session is not None:
            self._session.close()

    def _look(self) -> None:
        """See how far the primary has written, and ask where timelines were left of which that is not known yet."""
        if self._session is None:
            self._session = self._client.find(PRIMARY, FIND_S, patient=True, stopped=self._beside.stopped)
        begun_at = time.monotonic()
        timeline, position = (int(it or 0) for it in self._session.query(WRITTEN, ANSWER_S)[0])
        self._track.see(begun_at, timeline, position)
        self._missing_at = None
        left = set(self._track.ends) - {self._track.newest}
        if left - set(self._switches) and time.monotonic() >= self._history_at:
            self._history_at = time.monotonic() + HISTORY_AGAIN_S
            try:
                self._switches = self._patroni.switches()
            except DrillError as error:  # the primary is seen all the same
                logger.info("where a timeline was left is not known: %s", error.message)

    def _lose(self, why: str, silent: bool) -> None:
        """No primary answers: once it would have been replaced by now, see what its standbys have."""
        if self._session is not None:
            logger.info("the primary's WAL is not seen any more: %s", why)
            self._session.close()
            self._session = None
        now = time.monotonic()
        self._track.miss(now, silent)
        self._missing_at = self._missing_at or now
        if self._track.newest and now > self._missing_at + self._ttl_s:
            received = max(self._received(), default=0)
            behind_bytes = self._track.ends[self._track.newest].position - received if received else 0
            self._behind_bytes = max(self._behind_bytes, behind_bytes)

    def _received(self) -> Iterator[int]:
        """What each standby that answers has received."""
        for client in self._client.each():
            session = None
            try:
                session = client.find(STANDBY, FIND_S, patient=True, stopped=self._beside.stopped)
                yield int(session.query(RECEIVED, ANSWER_S)[0][0] or 0)
            except DrillError:
                continue
            finally:
                if session is not None:
                    session.close()


def _bytes_of(limit: object) -> int:
    """Patroni's `maximum_lag_on_failover`, which may be a text. Raises `UsageError` for one that is no number."""
    if limit is None:
        return DEFAULT_LIMIT_BYTES
    if isinstance(limit, int | str) and str(limit).isdecimal():
        return int(limit)
    raise UsageError(
        f"Patroni's maximum_lag_on_failover is {limit!r}, and is judged as a number of bytes only.",
        "have it be one: patronictl edit-config -s maximum_lag_on_failover=1048576.",
    )
