"""Between the load and the disk: what happened is noted on pages in memory and copied into the record by one scribe.

A thread that drives load must not wait for a disk. So each thread has a page of its own, hands it over every 50 ms, and
a scribe (whoever calls `write_up`, several times a second) copies pages into the record and into the live figures. What
a kill -9 of the observer loses is what was noted since the last copy.
"""

import queue
import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaosdrills.core.history import NO_SEQ, NS, Ints
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.figures import Figures, RegisterFigures
from chaosdrills.observe.record import RecordWriter
from chaosdrills.observe.slots import Kind
from chaosdrills.observe.standing import Standings
from chaosdrills.observe.workload import Survivors

TURN_NS = NS // 20
TURN_ROWS = 4096  # a page is handed over when it has this many operations, however young it is

MOST_PAGES = 200  # handed over and not copied: more than 10 s of a disk that hangs, then noting has to wait


@dataclass
class Sheet:
    """What was noted on a page: tables int64[n, 5] of writes, reads, polls and samples, and intended times int64[n]."""

    writes: Ints
    reads: Ints
    polls: Ints
    samples: Ints
    attempts: Ints


class LedgerPage:
    """The page of one thread. Noting extends a list; nothing is checked until it is copied."""

    def __init__(self, hand_over: Callable[[Sheet], None], new_stream: Callable[[], int]) -> None:
        self._hand_over = hand_over
        self._new_stream = new_stream
        self._begin()

    def write(self, stream: int, seq: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Note a write whose outcome is final."""
        self._writes += (stream, seq, invoked_ns, completed_ns, outcome)

    def write_all(self, table: Ints) -> None:
        """Note writes, int64[n, 5]: each row what `write` takes. The table is not to be changed any more."""
        self._tables.append(table)
        self._rows += len(table)

    def read(self, stream: int, seq: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Note a read."""
        self._reads += (stream, seq, invoked_ns, completed_ns, outcome)

    def new_stream(self) -> int:
        """Declare one more stream, called by its index; it may be used at once, on any page."""
        return self._new_stream()

    def poll(self, stream: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Note a poll of an endpoint; `stream` is an index of poll streams."""
        self._polls += (stream, NO_SEQ, invoked_ns, completed_ns, outcome)

    def sample(self, stream: int, count: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Note a look at a count, `NO_SEQ` where none was seen; `stream` is an index of sample streams."""
        self._samples += (stream, count, invoked_ns, completed_ns, outcome)

    def attempt(self, intended_ns: Sequence[int]) -> None:
        """Note that operations were due; their outcomes follow."""
        self._attempts.extend(intended_ns)

    def turn(self) -> None:
        """Hand over what was noted, if it is old or much."""
        if boottime_ns() - self._begun_ns >= TURN_NS or self._rows >= TURN_ROWS or len(self._writes) >= 5 * TURN_ROWS:
            self.close()

    def close(self) -> None:
        """Hand over what was noted, now; noting may go on."""
        if self._tables or self._writes or self._reads or self._attempts or self._polls or self._samples:
            writes = np.concatenate([*self._tables, _table(self._writes)])
            attempts = np.array(self._attempts, np.int64)
            reads, polls, samples = map(_table, (self._reads, self._polls, self._samples))
            self._hand_over(Sheet(writes, reads, polls, samples, attempts))
        self._begin()

    def _begin(self) -> None:
        self._tables: list[Ints] = []
        self._rows = 0
        self._writes: list[int] = []
        self._reads: list[int] = []
        self._polls: list[int] = []
        self._samples: list[int] = []
        self._attempts = array("q")
        self._begun_ns = boottime_ns()


class Ledger:
    """The record of a running load and its figures. All methods may be called from any thread.

    `polled` and `watched` are the names of poll and sample streams, by index; `pools` those of registers, as `Opened`
    has them.
    """

    def __init__(
        self,
        record: RecordWriter,
        streams: Sequence[str],
        slow_ns: int,
        gap_ns: int,
        polled: Sequence[str] = (),
        pools: Sequence[str] = (),
        watched: Sequence[str] = (),
    ) -> None:
        self._record = record
        self._lanes = pools or streams
        self._numbering = threading.Lock()
        self._streams = self._declared = len(streams)
        for name in streams:
            record.stream(name)
        self._figures = (
            RegisterFigures(len(pools), slow_ns, gap_ns) if pools else Figures(len(streams), slow_ns, gap_ns)
        )
        for name in polled:
            record.poll_stream(name)
        for name in watched:
            record.sample_stream(name)
        self._standings = Standings(polled, slow_ns)
        self._handed_over: queue.SimpleQueue[Sheet] = queue.SimpleQueue()
        self._scribe = threading.Lock()
        self._ended = False

    def page(self) -> LedgerPage:
        """A new page for one thread."""
        return LedgerPage(self._take, self._new_stream)

    def write_up(self) -> None:
        """Copy all pages that were handed over into the record, as one block. Raises `UnavailableError` (full disk).

        Does nothing once the record has its end or is closed.
        """
        with self._scribe:
            if not self._ended:
                self._copy()
                self._record.flush()

    def mark(self, name: str, at_ns: int, label: str = "") -> None:
        """Put a mark on disk, after all that was handed over."""
        with self._scribe:
            self._copy()
            self._record.mark(name, at_ns, label)

    def note(self, text: str, at_ns: int) -> None:
        """Put a remark on disk, after all that was handed over."""
        with self._scribe:
            self._copy()
            self._record.note(text, at_ns)

    def final(self, survivors: Survivors) -> None:
        """Write down the read-back of a stream; it is on disk for certain with the end, or a mark, that follows."""
        with self._scribe:
            self._record.final(survivors.stream, survivors.at_ns, np.frombuffer(survivors.seqs, np.int64))

    def end(self) -> None:
        """Record that the observer ended in good order, on disk. Nothing can follow."""
        with self._scribe:
            self._copy()
            self._ended = True
            self._record.end(boottime_ns())

    def close(self) -> None:
        """Write what was handed over and close the record, which is closed even if this raises."""
        with self._scribe:
            try:
                if not self._ended:
                    self._copy()
            finally:
                self._ended = True
                self._record.close()

    @property
    def silent(self) -> list[str]:
        """The streams, or pools of registers, without an acknowledgement so far."""
        with self._scribe:
            return [self._lanes[index] for index in self._figures.silent_streams]

    def totals(self) -> dict[str, int]:
        """`acked`, `failed`, `unknown`: operations with that outcome so far."""
        with self._scribe:
            return self._figures.totals()

    def figures(self, window_s: float, oldest_in_flight_ns: int | None) -> dict[str, Any]:
        """The figures now: see `Figures.at`."""
        with self._scribe:
            return self._figures.at(boottime_ns(), window_s, oldest_in_flight_ns)

    def standings(self) -> dict[str, dict[str, Any]]:
        """How polled endpoints stand now, by name: see `Standing.at`."""
        with self._scribe:
            return self._standings.at(boottime_ns())

    def _take(self, sheet: Sheet) -> None:
        self._handed_over.put(sheet)
        if self._handed_over.qsize() > MOST_PAGES:
            self.write_up()

    def _new_stream(self) -> int:
        with self._numbering:
            self._streams += 1
            return self._streams - 1

    def _copy(self) -> None:
        sheets = []
        while not self._handed_over.empty():
            sheets.append(self._handed_over.get())
        self._declare()
        if not sheets:
            return
        writes = np.concatenate([sheet.writes for sheet in sheets])
        reads = np.concatenate([sheet.reads for sheet in sheets])
        self._record.many(Kind.WRITE, writes)
        self._record.many(Kind.READ, reads)
        polls = np.concatenate([sheet.polls for sheet in sheets])
        self._record.many(Kind.POLL, polls)
        self._record.many(Kind.SAMPLE, np.concatenate([sheet.samples for sheet in sheets]))
        self._standings.polls(polls)
        self._figures.attempts(np.concatenate([sheet.attempts for sheet in sheets]))
        self._figures.writes(writes)
        self._figures.reads(reads)

    def _declare(self) -> None:
        """Record the streams that are new: before their operations, and those for which there will be none."""
        with self._numbering:
            streams = self._streams
        for index in range(self._declared, streams):
            self._record.new_stream(str(index))
        self._declared = streams


def _table(numbers: list[int]) -> Ints:
    return np.array(numbers, np.int64).reshape(-1, 5)
