"""Connections for the load, made in a thread of their own so that the load never waits for one.

Whoever lost a connection asks for another; it comes back connected to the primary of then, with its insert prepared.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaosdrills.errors import DrillError
from chaosdrills.timescaledb import ledger
from chaosdrills.timescaledb.client import PGconn
from chaosdrills.timescaledb.finding import PRIMARY, Client

logger = logging.getLogger(__name__)

SEARCH_S = 10.0
PREPARE_S = 5.0
BREATH_S = 0.2
SOON_S = 1.0
STOP_S = 15.0
LOG_AGAIN_S = 10.0


@dataclass(frozen=True)
class Made:
    """A connection for the stream `stream`, ready to be written to; `timeline` is the server's, 0 if unknown.

    `insert` is what is sent: the name of the prepared statement, or its text where a pooler stands between, which may
    have each transaction done by another connection of its own.
    """

    stream: int
    pgconn: PGconn
    descriptor: int
    address: str
    timeline: int
    insert: bytes
    prepared: bool


class Connector:
    """Makes connections, on which the `statement` of their stream is prepared.

    `descriptor` becomes readable when `made` has some; `trouble` is the last in words.

    `timelines` are those of the servers that were written to, in turn; `servers` counts the changes of server.
    """

    def __init__(self, statement: Callable[[int], str], client: Client) -> None:
        self.trouble = ""
        self.timelines: list[int] = []
        self._statement = statement
        self._client = client
        self._asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Made] = queue.SimpleQueue()
        self._last_at: dict[int, float] = {}
        self._told_at = 0.0
        self._stop = threading.Event()
        self.descriptor, self._bell = os.pipe()
        for end in (self.descriptor, self._bell):
            os.set_blocking(end, False)
        self._thread = threading.Thread(target=self._run, name="connector", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, stream: int) -> None:
        """Have a connection made for `stream`."""
        self._asked.put(stream)

    def taken(self) -> list[Made]:
        """The connections that were made since; the bell is silent afterwards."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        found: list[Made] = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._made.get_nowait())
        return found

    def stop(self) -> None:
        """Make no more, and close those that nobody took. Bounded, idempotent."""
        if not self._stop.is_set():
            self._stop.set()
            self._asked.put(None)
            if self._thread.is_alive():
                self._thread.join(STOP_S)
            for made in self.taken():
                made.pgconn.finish()

    def _run(self) -> None:
        while True:
            stream = self._asked.get()
            if stream is None or self._stop.is_set():
                return
            try:
                self._connect(stream)
            except DrillError as error:
                self._tell(error.message)
                self._asked.put(stream)
            except Exception:
                logger.exception("a connection was not made")
                self._asked.put(stream)
                self._stop.wait(BREATH_S)

    def _connect(self, stream: int) -> None:
        """Find the primary, prepare the insert, hand over."""
        if time.monotonic() - self._last_at.get(stream, 0.0) < SOON_S:
            self._stop.wait(BREATH_S)
        session = self._client.find(PRIMARY, SEARCH_S, patient=True, stopped=self._stop.is_set)
        try:
            insert = self._statement(stream)
            prepared = not session.is_pooled(PREPARE_S)
            if prepared:
                session.prepare(ledger.STATEMENT, insert, PREPARE_S)
            timeline = ledger.timeline_of(session)
            session.pgconn.nonblocking = 1
            session.pgconn.enter_pipeline_mode()
        except BaseException:
            session.close()
            self._stop.wait(BREATH_S)
            raise
        sent = (ledger.STATEMENT if prepared else insert).encode()
        self._hand_over(Made(stream, session.pgconn, session.pgconn.socket, session.address, timeline, sent, prepared))

    def _hand_over(self, made: Made) -> None:
        stream, timeline = made.stream, made.timeline
        self._last_at[stream] = time.monotonic()
        if timeline and (not self.timelines or self.timelines[-1] != timeline):
            self.timelines.append(timeline)
        logger.info("stream %d writes to %s (timeline %d)", stream, made.address, timeline)
        self._made.put(made)
        os.write(self._bell, b".")

    def _tell(self, message: str) -> None:
        self.trouble = message
        if time.monotonic() - self._told_at >= LOG_AGAIN_S:
            self._told_at = time.monotonic()
            logger.warning("no connection: %s", message)
