"""Sending: writes over several connections in turn, and what became of each. It never waits.

A *lane* is one connection at a time; write k goes over lane k mod n. While a connection is being made again, what falls
due on its lane was not sent, and has failed; `chaosdrills.observe.connecting` makes it, in a thread of its own. How a
connection is written to and understood is the service's `Line`, what is written its `Writing`.
"""

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from chaosdrills.core.history import NO_TIME, NS, Ints, Outcome
from chaosdrills.errors import UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.connecting import Connector, Made
from chaosdrills.observe.in_flight import InFlight
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

LOOK_NS = NS // 10
TELL_AGAIN_S = 10.0
BATCH = 64  # writes whose outcomes are noted together, if they come within BATCH_NS
BATCH_NS = NS // 1000


Settle = Callable[[int, Outcome], None]
M_in = TypeVar("M_in", bound=Made, contravariant=True)
M = TypeVar("M", bound=Made)


class Lost(Exception):
    """The connection is of no use any more, and why."""


class Line(Protocol[M_in]):
    """The connection of the lane `stream`, with its socket's `descriptor` while it is `connected`.

    `waiting` are the numbers that are still to be sent, `sent` (number, instant) those without an answer. `refusal` is
    what the server last said of a write that it did not take, `unflushed` whether the socket has not taken all.
    """

    stream: int
    address: str
    refusal: str
    waiting: deque[int]
    sent: deque[tuple[int, int]]
    descriptor: int

    @property
    def connected(self) -> bool: ...

    @property
    def unflushed(self) -> bool: ...

    def adopt(self, made: M_in) -> None:
        """Use a connection from now on."""

    def push(self, now_ns: int) -> None:
        """Send what waits, as far as may be unanswered. Raises `Lost`."""

    def receive(self, settle: Settle) -> None:
        """Take in what was answered. Raises `Lost`, after what came before it was settled."""

    def drop(self) -> tuple[list[int], list[int]]:
        """Close the connection; returns the numbers that were sent and those that were not."""


class Writing(Protocol):
    """What becomes of writes in the history. Writes are numbers, in the order in which they fall due."""

    def begin(self, page: Page) -> None:
        """The load begins; new streams are declared on `page`."""

    def take(self, first: int, intended_ns: Sequence[int]) -> None:
        """Writes from number `first` on are due at these instants."""

    def lost(self, lane: int) -> None:
        """The lane has lost its connection."""

    def settle(self, numbers: Ints) -> tuple[Ints, Ints]:
        """The streams and seqs of writes that have their outcome."""


class Sending(Generic[M]):
    """The connections of a drill. What became of writes is noted in `page`.

    An answer that takes longer than `answer_s` (None: nobody minds) costs its connection.
    """

    def __init__(
        self, lines: Sequence[Line[M]], writing: Writing, connector: Connector[M], answer_s: float | None
    ) -> None:
        self._writing = writing
        self._lines = lines
        self._in_flight = InFlight()
        self._answer_ns = None if answer_s is None else round(answer_s * NS)
        self.connector = connector
        self._settled: dict[Outcome, list[int]] = {outcome: [] for outcome in Outcome}
        self._to_note: list[int] = []
        self._noted_as: list[tuple[int, int, int]] = []  # of so many of them in turn, instant and outcome
        self._noted_ns = 0
        self._full: set[int] = set()  # descriptors whose socket did not take all
        self._by_descriptor: dict[int, Line[M]] = {}
        self._poll = select.poll()
        self._poll.register(self.connector.descriptor, select.POLLIN)
        self._looked_ns = 0
        self._told_at = -TELL_AGAIN_S
        self.lost = 0
        self.trouble = ""

    def connect(self, timeout_s: float) -> None:
        """Have all connections made. Raises `UnavailableError` if that takes longer."""
        self.connector.start()
        for line in self._lines:
            self.connector.ask(line.stream)

        def all_made() -> bool:
            self._adopt()
            return all(line.connected for line in self._lines)

        if not wait_until(all_made, timeout_s, 0.005):
            made = sum(line.connected for line in self._lines)
            self.connector.stop()  # what it is trying now ends, and says why it had no success so far
            raise UnavailableError(
                f"only {made} of {len(self._lines)} connections were made within {timeout_s:.0f} s: "
                f"{self.connector.trouble or 'the server is slow.'}",
                "lower connections, or raise the server's max_connections.",
            )

    def begin(self, page: Page) -> None:
        """Note from now on in `page`."""
        self._page = page
        self._writing.begin(page)

    @property
    def in_flight(self) -> int:
        """How many writes have no outcome yet; for any thread."""
        return max(0, self._in_flight.count - len(self._to_note))  # another thread may see one of the two changed

    def oldest_in_flight_ns(self) -> int | None:
        """The intended time of the oldest of them."""
        return self._in_flight.oldest_ns()

    def send(self, intended_ns: Sequence[int]) -> None:
        """One write for each intended time, over the connections in turn."""
        first, count = self._taken(intended_ns), len(self._lines)
        end, now_ns = first + len(intended_ns), boottime_ns()
        for number in range(first, end):
            line = self._lines[number % count]
            if not line.connected:
                self._settled[Outcome.FAILED].append(number)
            else:
                line.waiting.append(number)
        for number in range(first, min(first + count, end)):
            self._push(self._lines[number % count], now_ns)
        self._note(boottime_ns())

    def refuse(self, intended_ns: Sequence[int]) -> None:
        """One operation for each intended time, noted as failed."""
        first = self._taken(intended_ns)
        self._settled[Outcome.FAILED].extend(range(first, first + len(intended_ns)))
        self._note(boottime_ns())

    def poll(self, timeout_s: float) -> None:
        """Serve answers for up to `timeout_s`; the kernel waits in whole milliseconds, the rest is slept."""
        ready = self._poll.poll(int(timeout_s * 1000))
        if not ready and 0 < timeout_s < 0.001:
            time.sleep(timeout_s)
        now_ns = boottime_ns()
        for descriptor, _ in ready:
            line = self._by_descriptor.get(descriptor)
            if line is None:
                self._adopt()
            else:
                self._serve(line, now_ns)
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = now_ns
            self._give_up_silent(now_ns)
        self._note(boottime_ns())  # not before it came: a read that was due meanwhile would be called stale

    def abandon(self) -> None:
        """Close all connections: what was sent was never heard of again, what was not has failed."""
        self.connector.stop()
        for line in self._lines:
            self._forget(line)
            sent, waiting = line.drop()
            self._settled[Outcome.FAILED] += waiting
            self._keep(sent, NO_TIME, Outcome.UNKNOWN)
        self._note(boottime_ns())
        self._hand_over()

    def _taken(self, intended_ns: Sequence[int]) -> int:
        """The number of the first of them, each of which has its place in the history now."""
        first = self._in_flight.add(intended_ns)
        self._writing.take(first, intended_ns)
        return first

    def _adopt(self) -> None:
        for made in self.connector.taken():
            line = self._lines[made.stream]
            line.adopt(made)
            self._by_descriptor[line.descriptor] = line
            self._poll.register(line.descriptor, select.POLLIN)

    def _serve(self, line: Line[M], now_ns: int) -> None:
        try:
            line.receive(self._settle_one)
        except Lost as lost:
            self._lose(line, str(lost))
            return
        if line.refusal:
            self._tell_refusal(line)
        if line.waiting or line.unflushed:
            self._push(line, now_ns)
        else:
            self._watch(line)

    def _push(self, line: Line[M], now_ns: int) -> None:
        try:
            line.push(now_ns)
        except Lost as lost:
            self._lose(line, str(lost))
        else:
            self._watch(line)

    def _watch(self, line: Line[M]) -> None:
        """Wait for the socket to take more only where it has not taken all."""
        if line.unflushed != (line.descriptor in self._full):
            self._full ^= {line.descriptor}
            self._poll.modify(line.descriptor, select.POLLIN | (select.POLLOUT if line.unflushed else 0))

    def _give_up_silent(self, now_ns: int) -> None:
        for line in self._lines:
            if self._answer_ns and line.sent and now_ns - line.sent[0][1] > self._answer_ns:
                self._lose(line, f"no answer for {self._answer_ns / NS:g} s")

    def _tell_refusal(self, line: Line[M]) -> None:
        """Say why a write was not taken, every 10 s at most: all may be refused, for long."""
        self.trouble, line.refusal = f"{line.address} refused a write: {line.refusal}", ""
        if time.monotonic() - self._told_at >= TELL_AGAIN_S:
            self._told_at = time.monotonic()
            logger.warning("%s", self.trouble)

    def _lose(self, line: Line[M], why: str) -> None:
        """Settle what a lost connection leaves, and ask for another one."""
        self._forget(line)
        sent, waiting = line.drop()
        self.lost += 1
        self.trouble = f"the connection to {line.address} was lost: {why}"
        logger.info(
            "stream %d lost %s: %s (%d writes unanswered, %d unsent)",
            line.stream, line.address, why, len(sent), len(waiting),
        )  # fmt: skip
        self._settled[Outcome.UNKNOWN] += sent
        self._settled[Outcome.FAILED] += waiting
        self._writing.lost(line.stream)
        self.connector.ask(line.stream)

    def _forget(self, line: Line[M]) -> None:
        if self._by_descriptor.pop(line.descriptor, None) is not None:
            self._poll.unregister(line.descriptor)
            self._full.discard(line.descriptor)
        line.descriptor = -1

    def _settle_one(self, number: int, outcome: Outcome) -> None:
        self._settled[outcome].append(number)

    def _note(self, now_ns: int) -> None:
        """What was settled since shares this instant. It is handed over with what follows at once: tables are dear."""
        for outcome, numbers in self._settled.items():
            self._keep(numbers, now_ns, outcome)
            numbers.clear()
        if self._to_note and (len(self._to_note) >= BATCH or now_ns - self._noted_ns >= BATCH_NS):
            self._noted_ns = now_ns
            self._hand_over()

    def _keep(self, numbers: list[int], completed_ns: int, outcome: Outcome) -> None:
        if numbers:
            self._to_note += numbers
            self._noted_as.append((len(numbers), completed_ns, outcome))

    def _hand_over(self) -> None:
        if not self._to_note:
            return
        counts, completed_ns, outcomes = np.array(self._noted_as, np.int64).T
        which = np.array(self._to_note, np.int64)
        table = np.empty((len(which), 5), np.int64)
        table[:, 0], table[:, 1] = self._writing.settle(which)
        table[:, 2] = self._in_flight.settle(which)
        table[:, 3], table[:, 4] = np.repeat(completed_ns, counts), np.repeat(outcomes, counts)
        self._to_note.clear()
        self._noted_as.clear()
        self._page.write_all(table)
