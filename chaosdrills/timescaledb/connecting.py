"""Connections of the load to the primary of then, with their insert prepared."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from chaosdrills.observe.connecting import BREATH_S, Connector
from chaosdrills.timescaledb import ledger
from chaosdrills.timescaledb.client import PGconn
from chaosdrills.timescaledb.finding import PRIMARY, Client

logger = logging.getLogger(__name__)

SEARCH_S = 10.0
PREPARE_S = 5.0


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

    def close(self) -> None:
        """End it."""
        self.pgconn.finish()


class PrimaryConnector(Connector[Made]):
    """Makes connections, on which the `statement` of their stream is prepared.

    `timelines` are those of the servers that were written to, in turn.
    """

    def __init__(self, statement: Callable[[int], str], client: Client) -> None:
        super().__init__()
        self.timelines: list[int] = []
        self._statement = statement
        self._client = client

    def make(self, stream: int) -> Made:
        """Find the primary, and prepare the insert."""
        session = self._client.find(PRIMARY, SEARCH_S, patient=True, stopped=self.stopped)
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
        self._note(stream, session.address, timeline)
        sent = (ledger.STATEMENT if prepared else insert).encode()
        return Made(stream, session.pgconn, session.pgconn.socket, session.address, timeline, sent, prepared)

    def _note(self, stream: int, address: str, timeline: int) -> None:
        if timeline and (not self.timelines or self.timelines[-1] != timeline):
            self.timelines.append(timeline)
        logger.info("stream %d writes to %s (timeline %d)", stream, address, timeline)
