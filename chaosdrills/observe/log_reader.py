"""The reader of logs beside the load: it tells which writes can be read, and when.

Ten times a second it asks for the newest seq of each stream, and notes those with news; for a stream without, once a
second, that it looked and found nothing (`OK`, null) or could not look (`FAILED`, null).

Where a standby is wanted and there is none, it reads from another server, says so, and goes on looking for one.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from chaosdrills.core.history import NO_SEQ, NS, Outcome
from chaosdrills.errors import DrillError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.beside import Beside
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

POLL_S = 0.1
LOOK_NS = NS * 9 // 10
FIND_S = 1.0
FIND_STANDBY_S = 0.3
STANDBY_AGAIN_S = 2.0

Stopped = Callable[[], bool]


class Session(Protocol):
    """A connection to one server."""

    @property
    def address(self) -> str: ...

    def close(self) -> None:
        """End it."""


S = TypeVar("S", bound=Session)


class Source(Protocol[S]):
    """Where logs are read. Each call is bounded; all raise `DrillError`."""

    def standby(self, timeout_s: float, stopped: Stopped) -> S:
        """A connection to a standby."""

    def other(self, timeout_s: float, stopped: Stopped) -> S:
        """A connection to the server that is read from where there is no standby, or none is wanted."""

    def is_standby(self, session: S) -> bool:
        """Whether a server only follows."""

    def newest(self, session: S) -> Sequence[tuple[int, int]]:
        """Of each stream the newest seq that can be read, `NO_SEQ` if there is none."""


class LogReader(Generic[S]):
    """Reads `streams` logs in a thread of its own, from a standby if that is `wanted`."""

    def __init__(self, streams: int, source: Source[S], wants_standby: bool, page: Page) -> None:
        self._page = page
        self._source = source
        self._wants_standby = wants_standby
        self._noted_ns = dict.fromkeys(range(streams), 0)
        self._newest = dict.fromkeys(range(streams), NO_SEQ)
        self._session: S | None = None
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
        found = self._source.newest(self._connected())
        now_ns = boottime_ns()
        for stream, seq in found:
            if seq > self._newest[stream]:
                self._newest[stream] = seq
                self._note(stream, seq, begun_ns, now_ns, Outcome.OK)
            elif now_ns - self._noted_ns[stream] >= LOOK_NS:
                self._note(stream, NO_SEQ, begun_ns, now_ns, Outcome.OK)

    def _connected(self) -> S:
        """The connection in use; one to a standby, if that is wanted and there is one again."""
        session = self._session
        if session is None:
            return self._use(self._found())
        if self._wants_standby and not self._source.is_standby(session) and time.monotonic() >= self._standby_at:
            self._standby_at = time.monotonic() + STANDBY_AGAIN_S
            try:
                better = self._source.standby(FIND_STANDBY_S, self._beside.stopped)
            except DrillError:
                return session
            session.close()
            return self._use(better)
        return session

    def _found(self) -> S:
        if self._wants_standby:
            self._standby_at = time.monotonic() + STANDBY_AGAIN_S
            try:
                return self._source.standby(FIND_STANDBY_S, self._beside.stopped)
            except DrillError:
                pass
        return self._source.other(FIND_S, self._beside.stopped)

    def _use(self, session: S) -> S:
        self._session = session
        what = "a replica" if self._source.is_standby(session) else "the primary"
        logger.info("reads from %s (%s)", session.address, what)
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
