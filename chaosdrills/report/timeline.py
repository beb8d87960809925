"""Binning a history for charts: a few hundred bins, however long the record is.

Nothing here is a judged figure. Bins are aligned with the first fault, so that no bin holds both sides of it. Every
operation of the window falls into exactly one bin: acknowledgements by `completed_ns`, bad operations and latency by
`invoked_ns`, as the definitions count them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chaosdrills.core.history import NO_TIME, NS, History, Ints, Operations, Outcome, to_ns
from chaosdrills.report.ages import Ages, Floats

Window = tuple[int, int]

MAX_BINS = 300
_WIDTHS_NS = tuple(int(step * 10**power) for power in range(6, 9) for step in (1, 2, 5)) + tuple(
    step * NS for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
)


@dataclass(frozen=True)
class Timeline:
    """A history in n bins.

    `edges_ns` int64[n+1]. Counts int64[n]: `acks` by completion; `failed`, `unknown` and `slow` by invocation.
    Floats[n]: `acks_per_s` (NaN: no load and no ack); latency of acknowledged operations `p50_s`, `p99_s`, `max_s`
    (NaN: none invoked); `age_s`, the greatest age of what readers see (NaN: no load, or a silent reader), None without
    readers.
    """

    edges_ns: Ints
    acks: Ints
    acks_per_s: Floats
    failed: Ints
    unknown: Ints
    slow: Ints
    p50_s: Floats
    p99_s: Floats
    max_s: Floats
    age_s: Floats | None

    @property
    def bad(self) -> Ints:
        """Operations that were not good, int64[n]."""
        return np.asarray(self.failed + self.unknown + self.slow, dtype=np.int64)

    @property
    def width_s(self) -> float:
        """The width of a bin."""
        return float(self.edges_ns[1] - self.edges_ns[0]) / NS


def measured(history: History) -> Operations:
    """The operations that recovery is about: writes, and a register's reads."""
    if history.stream_kind == "log":
        return history.writes
    pairs = zip(_columns(history.writes), _columns(history.reads), strict=True)
    return Operations(*(np.concatenate(pair) for pair in pairs))


def _columns(operations: Operations) -> tuple[npt.NDArray[np.generic], ...]:
    one = operations
    return one.stream, one.seq, one.invoked_ns, one.completed_ns, one.outcome


def first_fault_ns(history: History) -> int | None:
    """The first `fault_begin`, the zero of relative times."""
    return next(iter(history.marks_named("fault_begin")), None)


def load_end_ns(history: History) -> int:
    """Where load ends: the last mark `load_end`, else the last invocation (0 without operations)."""
    marks = history.marks_named("load_end")
    operations = measured(history)
    return marks[-1] if marks else int(operations.invoked_ns.max()) if len(operations) else 0


def whole(history: History) -> Window | None:
    """From the first to the last instant of an operation or mark, ns; None without operations."""
    operations = measured(history)
    if not len(operations):
        return None
    completed = operations.completed_ns[operations.completed_ns != NO_TIME]
    latest = [int(completed.max())] if len(completed) else []
    marks = [mark.at_ns for mark in history.marks]
    begin = min([int(operations.invoked_ns.min()), *([int(completed.min())] if len(completed) else []), *marks])
    return begin, max([int(operations.invoked_ns.max()), *latest, *marks])


@dataclass(frozen=True)
class Observed:
    """A history made ready for binning, once for all its windows: `history`'s `measured` operations, and ages."""

    operations: Operations
    acked: Operations
    latency_ns: Ints
    slow_ns: int
    origin_ns: int | None
    load_end_ns: int
    ages: Ages | None

    @staticmethod
    def of(history: History, slow_s: float, fresh_s: float | None) -> "Observed":
        """What is slow, and which reader silent, is decided by `slow_s` and `fresh_s`; without `fresh_s` no ages."""
        operations, load_end = measured(history), load_end_ns(history)
        acked = operations.select((operations.outcome == Outcome.OK) & (operations.completed_ns != NO_TIME))
        return Observed(
            operations,
            acked,
            acked.completed_ns - acked.invoked_ns,
            to_ns(slow_s),
            first_fault_ns(history),
            load_end,
            None if fresh_s is None else Ages.of(history, load_end, to_ns(fresh_s)),
        )

    def timeline(self, window: Window, bins: int = MAX_BINS) -> Timeline:
        """What happened in `window`, in at most `bins` bins."""
        edges = bin_edges(window, self.origin_ns, bins)
        every, acked = self.operations, self.acked
        acks = _count(acked.completed_ns, edges)
        return Timeline(
            edges,
            acks,
            _per_s(acks, edges, int(every.invoked_ns.min(initial=self.load_end_ns)), self.load_end_ns),
            _count(every.invoked_ns[every.outcome == Outcome.FAILED], edges),
            _count(every.invoked_ns[every.outcome == Outcome.UNKNOWN], edges),
            _count(acked.invoked_ns[self.latency_ns > self.slow_ns], edges),
            *_percentiles(acked.invoked_ns, self.latency_ns, edges),
            None if self.ages is None else self.ages.over(edges),
        )


def bin_edges(window: Window, origin: int | None, bins: int) -> Ints:
    """Edges (ns) of at most `bins` equal bins over `window`, one of them at `origin` if that is not None."""
    begin, end = window
    origin = begin if origin is None else origin
    for width in (*_WIDTHS_NS, -(-(end - begin + 1) // max(bins - 2, 1))):
        low, high = (begin - origin) // width, (end - origin) // width + 1
        if high - low <= bins:
            break
    return np.array([origin + index * width for index in range(low, high + 1)], dtype=np.int64)


def _bins_of(at_ns: Ints, edges: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The bin of each instant, and whether it has one."""
    inside = (at_ns >= edges[0]) & (at_ns < edges[-1])
    return (at_ns[inside] - edges[0]) // (edges[1] - edges[0]), inside


def _count(at_ns: Ints, edges: Ints) -> Ints:
    index, _ = _bins_of(at_ns, edges)
    return np.bincount(index, minlength=len(edges) - 1).astype(np.int64)


def _per_s(acks: Ints, edges: Ints, begin: int, load_end: int) -> Floats:
    """Acks a second of load, so that a cut bin is no dip; of at least half a bin. Outside the load a whole bin counts.

    NaN where there was neither load nor an ack.
    """
    width = edges[1] - edges[0]
    overlap = np.minimum(edges[1:], load_end) - np.maximum(edges[:-1], begin)
    counted = np.where(overlap <= 0, width, np.maximum(overlap, width / 2)) / NS
    return np.asarray(np.where((overlap <= 0) & (acks == 0), np.nan, acks / counted), dtype=np.float64)


def _percentiles(invoked_ns: Ints, latency_ns: Ints, edges: Ints) -> tuple[Floats, Floats, Floats]:
    """Nearest-rank p50 and p99, and the maximum, of latency (s) a bin of invocation; NaN where a bin is empty."""
    index, inside = _bins_of(invoked_ns, edges)
    latency = latency_ns[inside]
    by_latency = np.argsort(latency)
    by_bin = by_latency[np.argsort(index[by_latency].astype(np.int32), kind="stable")]
    ranked = latency[by_bin] / NS
    counts = np.bincount(index, minlength=len(edges) - 1)
    first = np.cumsum(counts) - counts
    some = counts > 0
    results = []
    for percent in (50, 99, 100):
        rank = -(-counts * percent // 100) - 1
        result = np.full(len(counts), np.nan)
        result[some] = ranked[(first + rank)[some]]
        results.append(result)
    return results[0], results[1], results[2]
