"""One connection of the load: what was sent on it, and what of it was acknowledged. It never waits.

Every write is one command, followed by the WAIT or WAITAOF that acknowledges it, if that is promised; Redis answers in
turn (`chaosdrills.redis.outcomes`).
"""

import ssl
from collections import deque

from chaosdrills.core.history import Outcome
from chaosdrills.observe.sending import Lost, Settle
from chaosdrills.redis.arguments import Acknowledgement
from chaosdrills.redis.client import CHUNK_BYTES, Parser, Reply, ReplyError, ServerError, code_of, joined, said
from chaosdrills.redis.connecting import Made
from chaosdrills.redis.outcomes import NOT_WRITABLE, confirmed, outcome_of
from chaosdrills.redis.writing import Writing

NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
    """The connection of the lane `stream`, of which at most `depth` writes are sent and unanswered.

    See `chaosdrills.observe.sending.Line`. One that `leaves` a server that takes no writes (any more) asks for another
    connection; one that does not stays and is refused, as clients do that ask nobody.
    """

    def __init__(
        self, stream: int, depth: int, writing: Writing, acknowledgement: Acknowledgement, wait_ms: int, leaves: bool
    ) -> None:
        self.stream = stream
        self.address = ""
        self.refusal = ""
        self.waiting: deque[int] = deque()
        self.sent: deque[tuple[int, int]] = deque()
        self.descriptor = -1
        self._depth = depth
        self._command = writing.command
        self._wanted = acknowledgement.counts
        words: tuple[str | int, ...] = (acknowledgement.command, *acknowledgement.counts, wait_ms)
        self._wait = joined(words) if acknowledgement.command else b""
        self._leaves = leaves
        self._made: Made | None = None
        self._unsent = bytearray()
        self._outcome: Outcome | None = None  # of the write whose WAIT is not answered yet
        self._why = ""

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._made is not None

    @property
    def unflushed(self) -> bool:
        """Whether the socket has not taken all."""
        return bool(self._unsent)

    def adopt(self, made: Made) -> None:
        """Use a connection from now on."""
        self._made, self.address, self.descriptor = made, made.session.address, made.descriptor
        self._parser = Parser()
        self._unsent.clear()
        self._outcome, self._why = None, ""

    def push(self, now_ns: int) -> None:
        """Send what waits, as far as may be unanswered. Raises `Lost`."""
        if self._made is None:
            return
        waiting, sent, unsent = self.waiting, self.sent, self._unsent
        while waiting and len(sent) < self._depth:
            number = waiting.popleft()
            sent.append((number, now_ns))
            unsent += self._command(number)
            unsent += self._wait
        self._flush(self._made)

    def receive(self, settle: Settle) -> None:
        """Take in what was answered. Raises `Lost`, after what came before it was settled."""
        if self._made is None:
            return
        try:
            while data := self._made.session.socket.recv(CHUNK_BYTES):
                self._parser.feed(data)
                if len(data) < CHUNK_BYTES and not self._made.by_tls:
                    break
        except NOT_NOW:
            data = b"..."
        except OSError as error:
            self._take(settle)
            raise Lost(self._why or str(error.strerror or error)) from error
        self._take(settle)
        if self._why or not data:
            raise Lost(self._why or "the server closed it")
        if self._unsent:
            self._flush(self._made)

    def drop(self) -> tuple[list[int], list[int]]:
        """Close the connection; returns the numbers that were sent and those that were not."""
        if self._made is not None:
            self._made.close()
        self._made = None
        self._unsent.clear()
        sent, waiting = [number for number, _ in self.sent], list(self.waiting)
        self.sent.clear()
        self.waiting.clear()
        return sent, waiting

    def _flush(self, made: Made) -> None:
        try:
            while self._unsent:
                taken = made.session.socket.send(self._unsent)
                del self._unsent[:taken]
        except NOT_NOW:
            pass
        except OSError as error:
            raise Lost(str(error.strerror or error)) from error

    def _take(self, settle: Settle) -> None:
        """All answers that have arrived. Raises `Lost` for what answers nothing that was sent."""
        try:
            for answer in self._parser.answers():
                if not self.sent:
                    raise Lost(f"an answer that nobody waits for: {str(answer)[:80]}")
                if self._wait or isinstance(answer, ReplyError):
                    self._understand(answer, settle)
                else:
                    settle(self.sent.popleft()[0], Outcome.OK)
        except ServerError as error:
            raise Lost(error.message.rstrip(".")) from error

    def _understand(self, answer: Reply, settle: Settle) -> None:
        """One answer: that of the oldest write, or of its WAIT."""
        if self._outcome is None:
            self._outcome = outcome_of(answer)
            self._note(answer)
            if self._wait:
                return
        elif not confirmed(answer, self._wanted):
            self._outcome = Outcome.UNKNOWN if self._outcome is Outcome.OK else self._outcome
            self._note(answer)
        settle(self.sent.popleft()[0], self._outcome)
        self._outcome = None

    def _note(self, answer: Reply) -> None:
        """Keep what an error says."""
        if isinstance(answer, ReplyError):
            self.refusal = f"{code_of(answer)} {said(answer)}".strip()
            if self._leaves and code_of(answer) in NOT_WRITABLE:
                self._why = self.refusal
