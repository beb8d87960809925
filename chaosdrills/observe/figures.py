"""What the client sees now: figures of a running load, from the operations noted so far.

For people who watch and for probes; verdicts come from the record. Pure: no clock, no I/O. Instants are nanoseconds on
any one clock. Throughput is counted in bins of 100 ms over the last minute.
"""

from collections import deque
from typing import Any

import numpy as np

from chaosdrills.core.history import NO_SEQ, NS, Bools, Ints, Outcome

BIN_NS = NS // 10
BINS = 600
MAX_STEPS = 4096

STREAM, SEQ = 0, 1  # columns
WRITES, READS = 0, 1  # pools of registers


class Bins:
    """Counts by instant, for the last `BINS` bins; older ones are forgotten."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._newest = 0

    def add(self, at_ns: Ints) -> None:
        """Count one event at each instant."""
        if len(at_ns) == 0:
            return
        bins = at_ns // BIN_NS
        newest = max(int(bins.max()), self._newest)
        if newest > self._newest:
            passed = np.arange(max(self._newest + 1, newest - BINS + 1), newest + 1)
            self._counts[passed % BINS] = 0
            self._newest = newest
        oldest = newest - BINS + 1
        counts = np.bincount(np.maximum(bins - oldest + 1, 0), minlength=BINS + 1)[1:]
        self._counts[np.arange(oldest, newest + 1) % BINS] += counts

    def between(self, begin_ns: int, end_ns: int) -> int:
        """How many events lie in the whole bins from `begin_ns` to `end_ns`."""
        last = min(end_ns // BIN_NS - 1, self._newest)
        first = max(begin_ns // BIN_NS, self._newest - BINS + 1)
        return int(self._counts[np.arange(first, last + 1) % BINS].sum()) if last >= first else 0


class Age:
    """How old the data is that a reader of one stream sees.

    Acknowledged writes are kept in steps of (largest seq, earliest intended time), so the age is at most one step (the
    time between two `acknowledged`) too large.
    """

    def __init__(self) -> None:
        self._seen = NO_SEQ
        self._steps: deque[tuple[int, int]] = deque()

    def acknowledged(self, largest_seq: int, earliest_ns: int) -> None:
        """Writes up to `largest_seq`, the first of them intended at `earliest_ns`, were acknowledged."""
        if largest_seq <= self._seen:
            return
        if len(self._steps) >= MAX_STEPS:
            last_seq, last_ns = self._steps.pop()
            largest_seq, earliest_ns = max(largest_seq, last_seq), min(earliest_ns, last_ns)
        self._steps.append((largest_seq, earliest_ns))

    def seen(self, seq: int) -> None:
        """A reader saw `seq`."""
        self._seen = max(self._seen, seq)
        while self._steps and self._steps[0][0] <= self._seen:
            self._steps.popleft()

    def at(self, now_ns: int) -> int:
        """The age (ns) at `now_ns`; 0 if all that was acknowledged was seen."""
        return max(0, now_ns - self._steps[0][1]) if self._steps else 0


class Figures:
    """The figures of one load over `streams` streams; an acknowledgement later than `slow_ns` is bad."""

    def __init__(self, streams: int, slow_ns: int, gap_ns: int) -> None:
        self._slow_ns = slow_ns
        self._gap_ns = gap_ns
        self._counts = np.zeros(3, np.int64)
        self._attempts, self._good, self._acks = Bins(), Bins(), Bins()
        self._last_acks = np.full(streams, -1, np.int64)
        self._ages = [Age() for _ in range(streams)]
        self._reads = 0
        self._first_ack_ns: int | None = None
        self._last_bad_ns = 0
        self._longest_clean_ns = 0

    def attempts(self, intended_ns: Ints) -> None:
        """Take in the intended times of operations that were due."""
        self._attempts.add(intended_ns)

    def writes(self, table: Ints) -> None:
        """Take in writes: int64[n, 5] of stream, seq, invoked_ns, completed_ns, outcome."""
        if len(table) == 0:
            return
        streams, seqs, invoked_ns, completed_ns, outcomes = np.ascontiguousarray(table.T)
        ok = outcomes == Outcome.OK
        self._counts += np.bincount(outcomes, minlength=3)
        self._acks.add(completed_ns[ok])
        self._take_load(invoked_ns, completed_ns, ok)
        for stream, age in enumerate(self._ages):
            acked = np.flatnonzero(ok & (streams == stream))
            if len(acked):
                self._take_ack(stream, int(completed_ns[acked].max()))
                age.acknowledged(int(seqs[acked].max()), int(invoked_ns[acked].min()))

    def reads(self, table: Ints) -> None:
        """Take in reads, as `writes`."""
        self._reads += len(table)
        for stream, seq in table[table[:, SEQ] != NO_SEQ][:, [STREAM, SEQ]].tolist():
            self._ages[stream].seen(seq)

    @property
    def all_acknowledged(self) -> bool:
        """Whether every stream has an acknowledgement."""
        return bool((self._last_acks >= 0).all())

    @property
    def silent_streams(self) -> list[int]:
        """Indices of the streams without an acknowledgement."""
        return [int(index) for index in np.nonzero(self._last_acks < 0)[0]]

    def totals(self) -> dict[str, int]:
        """`acked`, `failed`, `unknown`: operations with that outcome."""
        acked, failed, unknown = self._counts.tolist()
        return {"acked": acked, "failed": failed, "unknown": unknown}

    def at(self, now_ns: int, window_s: float, oldest_in_flight_ns: int | None) -> dict[str, Any]:
        """The figures at `now_ns`; `window_s` (0.1 to 50) is what rates are taken over.

        `per_s`: acknowledgements a second in the window. `bad_per_s`: operations a second that were not good, of those
        whose time to be good ran out in the window; `bad_share`: of those, null without one. `since_last_ack_s`: over
        all streams; null without one.
        `silent_s`: how long the most silent stream has had no acknowledgement, 0 if that is within `gap_s`. `age_s`:
        of the stream whose readers see the oldest data; null without a read, and for registers. `clean_s`: since the
        first acknowledgement, or the last bad operation if that is later; 0 while an operation is overdue.
        `clean_longest_s`: the longest that ever was.
        """
        window_ns = round(min(max(window_s, 0.1), 50.0) * NS)
        due_ns = now_ns - self._slow_ns
        due = self._attempts.between(due_ns - window_ns, due_ns)
        bad = max(0, due - self._good.between(due_ns - window_ns, due_ns))
        last_ack_ns = int(self._last_acks.max())
        silent_ns = now_ns - int(self._last_acks.min())
        overdue = oldest_in_flight_ns is not None and now_ns - oldest_in_flight_ns > self._slow_ns
        clean_ns = self._clean_ns(oldest_in_flight_ns if overdue and oldest_in_flight_ns else now_ns)
        return {
            **self.totals(),
            "per_s": self._acks.between(now_ns - window_ns, now_ns) * NS / window_ns,
            "bad_per_s": bad * NS / window_ns,
            "bad_share": bad / due if due else None,
            "since_last_ack_s": None if last_ack_ns < 0 else max(0, now_ns - last_ack_ns) / NS,
            "silent_s": silent_ns / NS if silent_ns > self._gap_ns else 0.0,
            "age_s": max(age.at(now_ns) for age in self._ages) / NS if self._reads else None,
            "clean_s": 0.0 if overdue else clean_ns / NS,
            "clean_longest_s": max(clean_ns, self._longest_clean_ns) / NS,
        }

    def _take_load(self, invoked_ns: Ints, completed_ns: Ints, ok: Bools) -> None:
        """Take in operations that recovery is measured on."""
        good = ok & (completed_ns - invoked_ns <= self._slow_ns)
        self._good.add(invoked_ns[good])
        self._take_clean(completed_ns[ok], invoked_ns[~good])

    def _take_ack(self, stream: int, completed_ns: int) -> None:
        self._last_acks[stream] = max(self._last_acks[stream], completed_ns)

    def _take_clean(self, acked_ns: Ints, bad_ns: Ints) -> None:
        if self._first_ack_ns is None and len(acked_ns):
            self._first_ack_ns = int(acked_ns.min())
        if len(bad_ns):
            self._longest_clean_ns = max(self._longest_clean_ns, self._clean_ns(int(bad_ns.min())))
            self._last_bad_ns = max(self._last_bad_ns, int(bad_ns.max()))

    def _clean_ns(self, until_ns: int) -> int:
        if self._first_ack_ns is None:
            return 0
        return max(0, until_ns - max(self._first_ack_ns, self._last_bad_ns))


class RegisterFigures(Figures):
    """The figures of a load on registers: all writes are one stream, and all reads, if there are any, the other.

    Reads are load: they are bad or clean as writes are. `per_s` and totals are of writes alone, and there is no age.
    """

    def __init__(self, pools: int, slow_ns: int, gap_ns: int) -> None:
        super().__init__(pools, slow_ns, gap_ns)
        self._ages = []

    def writes(self, table: Ints) -> None:
        """Take in writes, as for logs."""
        super().writes(table)
        self._take_pool(WRITES, table)

    def reads(self, table: Ints) -> None:
        """Take in reads, whose intended times are not taken in before."""
        invoked_ns, completed_ns, ok = table[:, 2], table[:, 3], table[:, 4] == Outcome.OK
        self._attempts.add(invoked_ns)
        self._take_load(invoked_ns, completed_ns, ok)
        self._take_pool(READS, table)

    def _take_pool(self, pool: int, table: Ints) -> None:
        acked_ns = table[table[:, 4] == Outcome.OK, 3]
        if len(acked_ns):
            self._take_ack(pool, int(acked_ns.max()))
