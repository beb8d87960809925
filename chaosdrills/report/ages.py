"""The age of what readers see, binned for a chart.

A write that was acknowledged at c and first seen at v is *pending* in [c, v). A stream's age is the time since the
invocation of its oldest pending write, 0 if there is none; it grows while something is pending, so its maxima are just
before a write is seen, and at the ends of bins.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chaosdrills.core.history import NO_SEQ, NO_TIME, NS, History, Ints, Operations, Outcome, by_stream
from chaosdrills.core.intervals import FAR_NS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Polls:
    """One stream's reader: int64[n] ascending `invoked_ns`, and `until_ns`, up to when it was at work.

    `begin_ns` is when the stream was first written to, and `fresh_ns` how long its reader may be silent.
    """

    begin_ns: int
    invoked_ns: Ints
    until_ns: Ints
    fresh_ns: int

    @staticmethod
    def of(written: Operations, polls: Operations, fresh_ns: int) -> "Polls":
        """The polls of the reader of one stream's writes."""
        order = np.argsort(polls.invoked_ns, kind="stable")
        invoked, completed = polls.invoked_ns[order], polls.completed_ns[order]
        until = np.maximum.accumulate(np.maximum(completed, invoked))  # `NO_TIME`, null, is the least
        return Polls(int(written.invoked_ns.min()), invoked, until, fresh_ns)

    def silent(self, at_ns: Ints) -> npt.NDArray[np.bool_]:
        """At which instants the reader had been silent for too long."""
        last = np.searchsorted(self.invoked_ns, at_ns, side="right")
        heard = np.concatenate([[self.begin_ns], self.until_ns])[last]
        return np.asarray(at_ns - heard > self.fresh_ns)


@dataclass(frozen=True)
class Ages:
    """Every acknowledged write of a log, int64[n]: invoked, acknowledged, first seen (`FAR_NS`: never); its readers."""

    invoked_ns: Ints
    acked_ns: Ints
    seen_ns: Ints
    polls: tuple[Polls, ...]
    load_end_ns: int

    @staticmethod
    def of(history: History, load_end_ns: int, fresh_ns: int) -> "Ages | None":
        """The ages in `history`; None for a register, without readers or without writes."""
        if history.stream_kind != "log" or not len(history.reads) or not len(history.writes):
            return None
        reads, nothing = by_stream(history.reads), Operations.of([])
        polls, pending = [], []
        for stream, written in by_stream(history.writes).items():
            polled = reads.get(stream, nothing)
            polls.append(Polls.of(written, polled, fresh_ns))
            pending.append(_pending(written.select(written.outcome == Outcome.OK), polled))
        invoked, acked, seen = (np.concatenate(parts) for parts in zip(*pending, strict=True))
        return Ages(invoked, acked, seen, tuple(polls), load_end_ns)

    def over(self, edges: Ints) -> Floats:
        """The greatest age (s) in each bin between `edges`; NaN after the load, or where a reader was silent."""
        ends = np.minimum(edges[1:], self.load_end_ns)
        silent = edges[:-1] >= self.load_end_ns
        for one in self.polls:
            silent |= one.silent(ends)
        just_before = np.zeros(len(ends))
        last = self.seen_ns - 1  # the last instant at which a write is pending
        inside = (last >= self.acked_ns) & (last >= edges[0]) & (last < edges[-1])
        index = (last[inside] - edges[0]) // (edges[1] - edges[0])
        np.maximum.at(just_before, index, (self.seen_ns - self.invoked_ns)[inside] / NS)
        first, stop = np.searchsorted(ends, self.acked_ns), np.searchsorted(ends, self.seen_ns)
        oldest = least_over(self.invoked_ns, first, stop, len(ends))
        at_ends = (ends - np.minimum(oldest, ends)) / NS
        return np.where(silent, np.nan, np.maximum(just_before, at_ends))


def _pending(acked: Operations, polls: Operations) -> tuple[Ints, Ints, Ints]:
    """Of each acknowledged write of one stream: invoked, acknowledged, and first seen (`FAR_NS`: never), ns."""
    hits = polls.select((polls.outcome == Outcome.OK) & (polls.seq != NO_SEQ) & (polls.completed_ns != NO_TIME))
    order = np.argsort(hits.completed_ns, kind="stable")
    newest = np.maximum.accumulate(hits.seq[order])
    instants = np.append(hits.completed_ns[order], FAR_NS)
    seen = instants[np.searchsorted(newest, acked.seq)]
    return acked.invoked_ns, acked.completed_ns, np.maximum(seen, acked.completed_ns)


def least_over(values: Ints, first: Ints, stop: Ints, size: int) -> Ints:
    """For each of `size` places the least of the `values` whose range [first, stop) holds it, else `FAR_NS`.

    Each range is laid on a table of powers of two as two overlapping halves; the table is then handed down.
    """
    chosen = stop > first
    values, first, stop = values[chosen], first[chosen], stop[chosen]
    level = np.frexp((stop - first).astype(np.float64))[1].astype(np.int64) - 1
    table = np.full((size.bit_length() + 1, size), FAR_NS, dtype=np.int64)
    np.minimum.at(table, (level, first), values)
    np.minimum.at(table, (level, stop - (1 << level)), values)
    for height in range(len(table) - 1, 0, -1):
        half = 1 << (height - 1)
        np.minimum(table[height - 1], table[height], out=table[height - 1])
        np.minimum(table[height - 1][half:], table[height][:-half], out=table[height - 1][half:])
    return np.asarray(table[0], dtype=np.int64)
