"""Outages: spans without acknowledgements, longer than the load explains.

An outage of a stream is a span between neighbouring acks longer than the stream's gap; it is open where operations
were invoked for longer than the gap after the last ack.
"""

from dataclasses import dataclass

import numpy as np

from chaosdrills.core.baseline import Stream
from chaosdrills.core.history import Bools, Ints
from chaosdrills.core.intervals import FAR_NS, covered, union


@dataclass(frozen=True)
class Outages:
    """All streams' outages as columns: [begin_ns, end_ns] (`FAR_NS`: open), and the gap of the stream it is of."""

    begin_ns: Ints
    end_ns: Ints
    gap_ns: Ints

    def joined(self) -> list[tuple[int, int]]:
        """Their union over streams, ascending (ns; `FAR_NS`: open)."""
        return union(self.begin_ns, self.end_ns)

    def under_way(self, at_ns: int) -> bool:
        """Whether some stream is, at this instant, in an outage already longer than its gap."""
        return bool(np.any((self.begin_ns + self.gap_ns < at_ns) & (at_ns < self.end_ns)))

    def overlap(self, begin_ns: int, end_ns: int) -> bool:
        """Whether some outage shares more than an instant with [begin, end]."""
        return bool(np.any((self.begin_ns < end_ns) & (self.end_ns > begin_ns)))

    def overlap_windows(self, starts_ns: Ints, length_ns: int) -> Bools:
        """Which windows [start, start + length] (ascending starts) overlap an outage."""
        return covered(starts_ns, self.begin_ns - length_ns, self.end_ns - 1)


def outages_of(streams: tuple[Stream, ...]) -> Outages:
    """The outages of all streams over the whole record."""
    begins, ends, gaps = [], [], []
    for stream in streams:
        begin, end = _spans(stream)
        begins.append(begin)
        ends.append(end)
        gaps.append(np.full(len(begin), stream.gap_ns, dtype=np.int64))
    return Outages(np.concatenate(begins), np.concatenate(ends), np.concatenate(gaps))


def _spans(stream: Stream) -> tuple[Ints, Ints]:
    acks = stream.acks_ns
    if not len(acks):
        return acks, acks
    long = np.flatnonzero(np.diff(acks) > stream.gap_ns)
    begin, end = acks[long], acks[long + 1]
    if stream.last_invoked_ns - acks[-1] > stream.gap_ns:
        begin, end = np.append(begin, acks[-1]), np.append(end, FAR_NS)
    return begin, end
