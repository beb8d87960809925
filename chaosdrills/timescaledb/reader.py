"""The reader beside the load: it tells which writes can be read, and when, on a replica or on the primary.

Ten times a second it asks for the newest seq of each stream, and notes those with news; for a stream without, once a
second, that it looked and found nothing (`OK`, null) or could not look (`FAILED`, null). Where a replica is wanted and
there is none, it reads from the primary, says so, and goes on looking for one.
"""

import logging
import time

from chaosdrills.core.history import NO_SEQ, NS, Outcome
from chaosdrills.errors import DrillError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.beside import Beside
from chaosdrills.observe.workload import Page
from chaosdrills.timescaledb import ledger
from chaosdrills.timescaledb.arguments import PRIMARY as THE_PRIMARY
from chaosdrills.timescaledb.arguments import Arguments
from chaosdrills.timescaledb.client import Session
from chaosdrills.timescaledb.finding import ANY, PRIMARY, STANDBY, Client, is_standby

logger = logging.getLogger(__name__)

POLL_S = 0.1
ANSWER_S = 1.0
LOOK_NS = NS * 9 // 10
FIND_S = 1.0
FIND_STANDBY_S = 0.3
STANDBY_AGAIN_S = 2.0


class Reader:
    """Reads the ledger of a drill in a thread of its own."""

    def __init__(self, arguments: Arguments, drill_id: str, client: Client, page: Page) -> None:
        self._page = page
        self._client = client
        self._role = PRIMARY if arguments.read_from == THE_PRIMARY else STANDBY
        streams = range(arguments.connections)
        self._noted_ns = dict.fromkeys(streams, 0)
        self._newest = dict.fromkeys(streams, NO_SEQ)
        self._sql = (
            f"SELECT s, (SELECT max(seq) FROM {arguments.schema}.{ledger.TABLE} WHERE stream = s) "
            f"FROM generate_series(0, {arguments.connections - 1}) AS s"
        )
        self._session: Session | None = None
        self._standby_at = 0.0
        self._beside = Beside(self._run, "reader")

    def start(self) -> None:
        """Start reading."""
        self._beside.start()

    def stop(self) -> None:
        """Stop reading; waits at most 10 s for the thread."""
        self._beside.stop()

    def _run(self) -> None:
        while not self._beside.stopped():
            begun_ns = boottime_ns()
            try:
                self._look(begun_ns)
            except DrillError as error:
                self._hang_up(error.message)
                self._fail(begun_ns)
            except Exception:
                logger.exception("the reader starts again")
                self._hang_up("an unexpected error")
            self._page.turn()
            self._beside.wait(POLL_S)
        if self._session is not None:
            self._session.close()
        self._page.close()

    def _look(self, begun_ns: int) -> None:
        """Ask once, and note what is new."""
        session = self._connected()
        rows = session.query(self._sql, ANSWER_S)
        now_ns = boottime_ns()
        for stream, text in rows:
            which, seq = int(stream or 0), NO_SEQ if text is None else int(text)
            if seq > self._newest[which]:
                self._newest[which] = seq
                self._note(which, seq, begun_ns, now_ns, Outcome.OK)
            elif now_ns - self._noted_ns[which] >= LOOK_NS:
                self._note(which, NO_SEQ, begun_ns, now_ns, Outcome.OK)

    def _connected(self) -> Session:
        """The connection in use; one to a replica, if that is wanted and there is one again."""
        session = self._session
        if session is None:
            session = self._use(self._found())
        elif self._role == STANDBY and not is_standby(session) and time.monotonic() >= self._standby_at:
            self._standby_at = time.monotonic() + STANDBY_AGAIN_S
            try:
                better = self._client.find(STANDBY, FIND_STANDBY_S, patient=True)
            except DrillError:
                return session
            session.close()
            session = self._use(better)
        return session

    def _found(self) -> Session:
        if self._role == STANDBY:
            self._standby_at = time.monotonic() + STANDBY_AGAIN_S
            try:
                return self._client.find(STANDBY, FIND_STANDBY_S, patient=True, stopped=self._beside.stopped)
            except DrillError:
                return self._client.find(ANY, FIND_S, patient=True, stopped=self._beside.stopped)
        return self._client.find(PRIMARY, FIND_S, patient=True, stopped=self._beside.stopped)

    def _use(self, session: Session) -> Session:
        self._session = session
        logger.info("reads from %s (%s)", session.address, "a replica" if is_standby(session) else "the primary")
        return session

    def _hang_up(self, why: str) -> None:
        if self._session is not None:
            logger.info("no longer reads: %s", why)
            self._session.close()
            self._session = None

    def _fail(self, begun_ns: int) -> None:
        now_ns = boottime_ns()
        for stream, noted_ns in self._noted_ns.items():
            if now_ns - noted_ns >= LOOK_NS:
                self._note(stream, NO_SEQ, begun_ns, now_ns, Outcome.FAILED)

    def _note(self, stream: int, seq: int, begun_ns: int, now_ns: int, outcome: Outcome) -> None:
        self._page.read(stream, seq, begun_ns, now_ns, int(outcome))
        self._noted_ns[stream] = now_ns
