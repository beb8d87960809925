"""The watcher beside the load: it looks at every server twice a second, whichever the load writes to.

A thread for each, so that one that does not answer keeps it from no other. What the looks prove is in
`chaosdrills.redis.removals`.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from chaosdrills.errors import DrillError
from chaosdrills.observe.beside import Beside
from chaosdrills.redis.client import ConnectionRefused, Session
from chaosdrills.redis.finding import Client
from chaosdrills.redis.info import Info, info_of
from chaosdrills.redis.removals import EXPIRED, FLUSHED, Check, Removals

logger = logging.getLogger(__name__)

EVERY_S = 0.5
ANSWER_S = 1.0


class Watcher:
    """Looks at `servers` until it is stopped."""

    def __init__(self, client: Client, servers: list[str]) -> None:
        self._client = client
        self._removals = Removals()
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._besides = [Beside(self._runner(it, address), f"watcher {address}") for it, address in enumerate(servers)]

    def start(self) -> None:
        """Start looking."""
        for each in self._besides:
            each.start()

    def stop(self) -> None:
        """Stop looking. Bounded, idempotent."""
        for each in self._besides:
            each.stop()

    def look_once(self, session: Session) -> Info:
        """Look at one server now. Raises `ServerError`."""
        found = look(session, self._client.url.db)
        with self._lock:
            self._removals.see(session.address, found, time.monotonic())
        return found

    @property
    def evicts(self) -> bool:
        """Whether keys of the drill may have been evicted."""
        with self._lock:
            return self._removals.evicts

    @property
    def flushes(self) -> int:
        """How often a server was flushed."""
        with self._lock:
            return self._removals.count(FLUSHED)

    def checks(self) -> list[Check]:
        """What was seen; see `Removals.checks`."""
        with self._lock:
            return self._removals.checks()

    def findings(self) -> Mapping[str, Any]:
        """`two_primaries_s`, `expired_keys` (of the whole server) and `flushes`."""
        with self._lock:
            removals = self._removals
            return {
                "two_primaries_s": round(removals.two_primaries_s, 1),
                "expired_keys": removals.count(EXPIRED),
                "flushes": removals.count(FLUSHED),
            }

    def _runner(self, which: int, address: str) -> Callable[[], None]:
        return lambda: self._run(self._besides[which], address)

    def _run(self, beside: Beside, address: str) -> None:
        session, last = None, False
        while not last:
            last = beside.stopped()  # and once more then, for what came in between
            session = self._looked(session, address)
            self._tell()
            beside.wait(EVERY_S)
        if session is not None:
            session.close()

    def _looked(self, session: Session | None, address: str) -> Session | None:
        """Look at one server; the connection to it, if it answered."""
        try:
            session = session or self._client.at(address)
            self.look_once(session)
        except Exception as error:
            if not isinstance(error, (DrillError, ConnectionRefused)):
                logger.exception("a look at %s failed", address)
            if session is not None:
                session.close()
            with self._lock:
                self._removals.miss(address, time.monotonic())
            return None
        return session

    def _tell(self) -> None:
        """Say at once what is found."""
        with self._lock:
            news = [(name, detail) for name, ok, detail in self._removals.checks() if not ok and name not in self._told]
            self._told.update(name for name, _ in news)
        for name, detail in news:
            logger.warning("%s: %s", name, detail)


def look(session: Session, db: int = 0) -> Info:
    """One look at a server. Raises `ServerError`."""
    return info_of(session.do("INFO", "ALL", timeout_s=ANSWER_S), db)
