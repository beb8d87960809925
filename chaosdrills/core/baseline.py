"""The baseline: what the service did before the fault, and the streams it is compared by.

The window is the last `baseline_s` before the first fault `t_f`, from the first ack or the last bad operation if later;
bad operations invoked within `slow_s` of `t_f` belong to the fault. One window serves all streams. Shorter than
`stable_s`, there is no baseline. Registers are pooled by kind, and logs with fewer than 20 operations in the window
are pooled as one.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from chaosdrills.core.history import NS, Ints, to_ns
from chaosdrills.core.load import Load
from chaosdrills.core.parameters import Parameters

POOLED_BELOW = 20


@dataclass(frozen=True)
class Stream:
    """One stream of the load, or one pool of streams.

    `good_ns` ascending intended times of its good operations, `acks_ns` ascending acks, `last_invoked_ns` its last
    intended time. `gap_ns`: a longer span between neighbouring acks is an outage. `enough`: the smallest number of good
    operations in a window of `stable_s` that is not *low*.
    """

    good_ns: Ints
    acks_ns: Ints
    last_invoked_ns: int
    gap_ns: int
    enough: int


@dataclass(frozen=True)
class Baseline:
    """`per_s`: good operations a second before the fault, summed over `streams`. The window is [begin, end) in ns."""

    begin_ns: int
    end_ns: int
    per_s: float
    streams: tuple[Stream, ...]

    @property
    def largest_gap_ns(self) -> int:
        """The largest gap of all streams: a shorter stop is unseen."""
        return max(stream.gap_ns for stream in self.streams)


def baseline_of(load: Load, fault_ns: int, parameters: Parameters) -> Baseline | None:
    """The baseline before `fault_ns`; None if there is none."""
    begin = _window_begin(load, fault_ns, parameters)
    if begin is None or fault_ns - begin < to_ns(parameters.stable_s):
        return None
    window = slice(*np.searchsorted(load.invoked_ns, [begin, fault_ns], side="left"))
    streams = _streams(load, window, (begin, fault_ns), parameters)
    good = int(np.count_nonzero(load.good[window]))
    return Baseline(begin, fault_ns, good * NS / (fault_ns - begin), streams)


def _window_begin(load: Load, fault_ns: int, parameters: Parameters) -> int | None:
    if not len(load.acks_ns):
        return None
    begin = max(fault_ns - to_ns(parameters.baseline_s), int(load.acks_ns[0]))
    bad_before = int(np.searchsorted(load.bad_ns, fault_ns - to_ns(parameters.slow_s), side="left"))
    return max(begin, int(load.bad_ns[bad_before - 1])) if bad_before else begin


def _streams(load: Load, window: slice, span: tuple[int, int], parameters: Parameters) -> tuple[Stream, ...]:
    """Split the load by lane, thin logs pooled; each with its gap and its low bound from the baseline window."""
    pool = _pools(load, window)
    enough = _enough(load, pool, window, span, parameters)
    order = np.argsort(pool, kind="stable")
    numbers, starts = np.unique(pool[order], return_index=True)
    chunks = np.split(order, starts[1:])
    return tuple(
        _stream(load, chunk, span, enough[int(number)], parameters)
        for number, chunk in zip(numbers, chunks, strict=True)
    )


def _pools(load: Load, window: slice) -> Ints:
    if load.pooled:
        return load.lane
    counts = np.bincount(load.lane[window], minlength=load.lanes)
    return np.where(counts[load.lane] < POOLED_BELOW, load.lanes, load.lane)


def _enough(load: Load, pool: Ints, window: slice, span: tuple[int, int], parameters: Parameters) -> dict[int, int]:
    """For each pool the smallest count that is not below recovered_ratio x baseline x stable_s - 1, exactly."""
    good = np.bincount(pool[window][load.good[window]], minlength=load.lanes + 1)
    share = Fraction(str(parameters.recovered_ratio)) * Fraction(to_ns(parameters.stable_s), span[1] - span[0])
    return {number: -(-(share * int(count) - 1) // 1) for number, count in enumerate(good)}


def _stream(load: Load, chunk: Ints, span: tuple[int, int], enough: int, parameters: Parameters) -> Stream:
    invoked = load.invoked_ns[chunk]
    acks = np.sort(load.completed_ns[chunk][load.ok[chunk]])
    inside = acks[(acks >= span[0]) & (acks <= span[1])]
    longest = int(np.diff(inside).max()) if len(inside) > 1 else 0
    gap = max(to_ns(parameters.gap_s), 2 * longest)
    return Stream(invoked[load.good[chunk]], acks, int(invoked[-1]), gap, enough)
