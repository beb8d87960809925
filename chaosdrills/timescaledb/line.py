"""One connection of the load, in libpq's pipeline mode: what was sent on it, and what of it was acknowledged.

Every insert is followed by its own Sync, so each is a transaction, and ReadyForQuery its acknowledgement. Operations
are numbers; what each sends is `Writing`'s to say.
"""

from collections import deque

from chaosdrills.core.history import Outcome
from chaosdrills.observe.sending import Lost, Settle
from chaosdrills.timescaledb.client import ExecStatus, PGconn, PGresult, PsycopgError, error_of
from chaosdrills.timescaledb.connecting import Made
from chaosdrills.timescaledb.outcomes import NOT_WRITABLE, is_cancelled_wait, outcome_of
from chaosdrills.timescaledb.register import NOT_APPLIED
from chaosdrills.timescaledb.writing import Writing


class Line:
    """The connection of the lane `stream`, of which at most `depth` writes are sent and unanswered.

    `waiting` are the numbers that are still to be sent, `sent` (number, instant) those without an answer. `refusal` is
    what the server last said of an insert that it did not take.
    """

    def __init__(self, stream: int, depth: int, writing: Writing) -> None:
        self.stream = stream
        self.address = ""
        self.refusal = ""
        self.waiting: deque[int] = deque()
        self.sent: deque[tuple[int, int]] = deque()
        self.pgconn: PGconn | None = None
        self.descriptor = -1
        self.unflushed = False
        self._depth = depth
        self._parameters = writing.parameters
        self._guarded = writing.guarded
        self._outcome = Outcome.OK
        self._why = ""

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self.pgconn is not None

    def adopt(self, made: Made) -> None:
        """Use a connection from now on."""
        self.pgconn, self.address, self.descriptor = made.pgconn, made.address, made.descriptor
        self._outcome, self._why, self.unflushed = Outcome.OK, "", False
        self._insert = made.insert
        self._send = made.pgconn.send_query_prepared if made.prepared else made.pgconn.send_query_params
        made.pgconn.notice_handler = self._notice

    def push(self, now_ns: int) -> None:
        """Send what waits, as far as may be unanswered. Raises `Lost`."""
        if self.pgconn is None:
            return
        try:
            while self.waiting and len(self.sent) < self._depth:
                number = self.waiting.popleft()
                self.sent.append((number, now_ns))
                self._send(self._insert, self._parameters(number))
                self.pgconn.pipeline_sync()
            self.unflushed = bool(self.pgconn.flush())
        except PsycopgError as error:
            raise Lost(_said(error)) from error

    def receive(self, settle: Settle) -> None:
        """Take in what was answered. Raises `Lost`, after what came before it was settled."""
        if self.pgconn is None:
            return
        try:
            self.pgconn.consume_input()
            self._take(self.pgconn, settle)
            if self.unflushed:
                self.unflushed = bool(self.pgconn.flush())
        except PsycopgError as error:
            raise Lost(self._why or _said(error)) from error
        if self._why:
            raise Lost(self._why)

    def drop(self) -> tuple[list[int], list[int]]:
        """Close the connection; returns the numbers that were sent and those that were not."""
        if self.pgconn is not None:
            self.pgconn.notice_handler = None
            self.pgconn.finish()
        sent, waiting = [number for number, _ in self.sent], list(self.waiting)
        self.pgconn, self.unflushed = None, False
        self.sent.clear()
        self.waiting.clear()
        return sent, waiting

    def _take(self, pgconn: PGconn, settle: Settle) -> None:
        """All results that have arrived. In pipeline mode each query's end with None, and a Sync's does not."""
        within = False
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if not within:
                    return
                within = False
            elif result.status == ExecStatus.PIPELINE_SYNC:
                within = False
                settle(self.sent.popleft()[0], self._outcome)
                self._outcome = Outcome.OK
            else:
                within = True
                if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                    self._fail(result)
                elif self._guarded and result.command_status == NOT_APPLIED:
                    self._outcome = Outcome.FAILED

    def _fail(self, result: PGresult) -> None:
        self._outcome = outcome_of(result)
        sqlstate, message = error_of(result)
        self.refusal = message
        if sqlstate in NOT_WRITABLE or self._outcome is Outcome.UNKNOWN:
            self._why = message

    def _notice(self, notice: PGresult) -> None:
        """libpq hands over a notice after the command's end and before the Sync's: it is about the oldest in flight."""
        if is_cancelled_wait(notice):
            self._outcome = Outcome.UNKNOWN


def _said(error: PsycopgError) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else "the connection was closed"
