"""Connections of the load: to the primary of then; those of old connections always to the same address."""

import logging
from dataclasses import dataclass

from chaosdrills.errors import UnavailableError
from chaosdrills.observe.connecting import Connector
from chaosdrills.redis.client import ConnectionRefused, Session
from chaosdrills.redis.finding import PRIMARY, Client

logger = logging.getLogger(__name__)

SEARCH_S = 10.0


@dataclass(frozen=True)
class Made:
    """A connection for the lane `stream`, on which nothing waits any more."""

    stream: int
    session: Session
    descriptor: int
    by_tls: bool

    def close(self) -> None:
        """End it."""
        self.session.close()


class ServerConnector(Connector[Made]):
    """Makes connections: of lanes from `first_old` on to the address `old`, of others to whoever leads.

    `written` are the addresses that lanes were connected to, in turn.
    """

    def __init__(self, client: Client, first_old: int) -> None:
        super().__init__()
        self.old = ""
        self.written: list[str] = []
        self._client = client
        self._first_old = first_old

    def make(self, stream: int) -> Made:
        """A connection, in which nothing blocks. Raises `UnavailableError`."""
        session = self._at_old() if stream >= self._first_old else self._at_primary()
        session.socket.setblocking(False)
        logger.info("stream %d writes to %s", stream, session.address)
        return Made(stream, session, session.socket.fileno(), self._client.url.tls is not None)

    def _at_primary(self) -> Session:
        session = self._client.find(PRIMARY, SEARCH_S, patient=True, stopped=self.stopped)
        if not self.written or self.written[-1] != session.address:
            self.written.append(session.address)
        return session

    def _at_old(self) -> Session:
        try:
            return self._client.at(self.old)
        except ConnectionRefused as error:
            raise UnavailableError(f"the first primary, {self.old}, {error}.", "start it again.") from error
