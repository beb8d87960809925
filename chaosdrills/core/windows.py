"""Windows: where service was clean, where it was low, and when it was restored for good.

Windows of `stable_s` start at an episode's begin and at each ack, and end inside the episode. A window is *low* if
some stream has fewer good operations in it than recovered_ratio x baseline x stable_s - 1; *clean* if it is not low,
no bad operation was invoked in it, and it overlaps no outage.
"""

import numpy as np

from chaosdrills.core.baseline import Stream
from chaosdrills.core.history import Bools, Ints, to_ns
from chaosdrills.core.intervals import FAR_NS, covered
from chaosdrills.core.load import Load
from chaosdrills.core.outages import Outages
from chaosdrills.core.parameters import Parameters


class Windows:
    """All windows of one record: judged once, asked for each episode."""

    def __init__(
        self, load: Load, streams: tuple[Stream, ...], outages: Outages, begins: list[int], parameters: Parameters
    ) -> None:
        self._load = load
        self._streams = streams
        self._outages = outages
        self._stable_ns = to_ns(parameters.stable_s)
        self._run_gap_ns = 2 * to_ns(parameters.slow_s)
        self._acks = load.acks_ns
        self._low, self._clean = self._judged(self._acks)
        instants = np.unique(np.array(begins, dtype=np.int64))
        self._begins = {int(at): flags for at, *flags in zip(instants, *self._judged(instants), strict=True)}

    def restored_ns(self, begin_ns: int, end_ns: int) -> int | None:
        """The start of the first clean window from which on service stayed restored to `end_ns`; None if it did not.

        From it on no window is low, and no run of bad operations (up to those invoked at `end_ns`) lasts `stable_s`.
        `begin_ns` is one of the begins given at construction.
        """
        last_start = end_ns - self._stable_ns
        if last_start < begin_ns:
            return None
        after_run = self._last_long_run(begin_ns, end_ns)
        inside = slice(*np.searchsorted(self._acks, [begin_ns, last_start], side="right"))
        low = np.flatnonzero(self._low[inside])
        begin_low, begin_clean = self._begins[begin_ns]
        if begin_clean and not begin_low and not len(low) and begin_ns > after_run:
            return begin_ns
        first = inside.start + (int(low[-1]) + 1 if len(low) else 0)
        first = max(first, int(np.searchsorted(self._acks, after_run, side="right")))
        clean = np.flatnonzero(self._clean[first : inside.stop])
        return int(self._acks[first + clean[0]]) if len(clean) else None

    def _judged(self, starts: Ints) -> tuple[Bools, Bools]:
        """Which windows at the ascending `starts` are low, and which are clean."""
        low = np.zeros(len(starts), dtype=np.bool_)
        for stream in self._streams:
            if stream.enough > 0:
                low |= covered(starts, *_low_spans(stream.good_ns, stream.enough, self._stable_ns))
        bad = self._load.bad_ns
        unclean = self._outages.overlap_windows(starts, self._stable_ns) | covered(starts, bad - self._stable_ns, bad)
        return low, ~(low | unclean)

    def _last_long_run(self, begin_ns: int, end_ns: int) -> int:
        """The last bad operation from which a run of bad operations goes on for `stable_s` or more; -FAR if none."""
        bad = self._load.bad_ns
        bad = bad[np.searchsorted(bad, begin_ns) : np.searchsorted(bad, end_ns, side="right")]
        if not len(bad):
            return -FAR_NS
        breaks = np.flatnonzero(np.diff(bad) >= self._run_gap_ns)
        run_ends = np.append(bad[breaks], bad[-1])
        run = np.searchsorted(breaks, np.arange(len(bad)), side="left")
        long = np.flatnonzero(run_ends[run] - bad >= self._stable_ns)
        return int(bad[long[-1]]) if len(long) else -FAR_NS


def _low_spans(good_ns: Ints, enough: int, stable_ns: int) -> tuple[Ints, Ints]:
    """The window starts w, as spans (after, until], for which [w, w + stable) holds fewer than `enough` good ones.

    For w in (good[i-1], good[i]] the window's `enough`-th good operation is good[i + enough - 1]; it lies outside
    exactly if w <= good[i + enough - 1] - stable.
    """
    after = np.concatenate([[-FAR_NS], good_ns])
    until = np.concatenate([good_ns, [FAR_NS]])
    reach = np.full(len(after), FAR_NS, dtype=np.int64)
    reached = good_ns[enough - 1 :] - stable_ns
    reach[: len(reached)] = reached
    return after, np.minimum(until, reach)
