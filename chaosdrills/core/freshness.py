"""Freshness: how old the data is that a reader of a log sees.

A stream's age is the time since `invoked_s` of its oldest acknowledged write newer than the newest seq that a reader
has seen, else 0. A stream whose reader was silent for longer than `fresh_s` was not measured.
"""

from dataclasses import dataclass

import numpy as np

from chaosdrills.core.episodes import Episode
from chaosdrills.core.history import NO_TIME, History, Ints, Operations, Outcome, by_stream, to_ns
from chaosdrills.core.intervals import FAR_NS
from chaosdrills.core.parameters import Parameters


@dataclass(frozen=True)
class Freshness:
    """`actual_ns`: the longest, over episodes and streams, from begin until data stayed fresh.

    None where it was not measured (registers, no reader, a silent one; `why` says which) or where data was still stale
    at an episode's end (`censored`, after `at_least_ns`).
    """

    actual_ns: int | None = None
    censored: bool = False
    at_least_ns: int | None = None
    why: str = ""


def freshness_of(
    history: History, episodes: tuple[Episode, ...], span: tuple[int, int], parameters: Parameters
) -> Freshness:
    """Measure freshness over `episodes`; readers must not be silent within `span` (first fault, end of load), ns."""
    if history.stream_kind == "register":
        return Freshness(why="freshness is not defined for registers")
    if not episodes:
        return Freshness(why="there is no episode to measure freshness in")
    fresh_ns = to_ns(parameters.fresh_s)
    longest, stale = 0, 0
    writes, reads = by_stream(history.writes), by_stream(history.reads)
    for stream, written in writes.items():
        acked = written.select(written.outcome == Outcome.OK)
        if not len(acked):
            continue
        seen = reads.get(stream)
        if seen is None or silent(seen, span, fresh_ns):
            return Freshness(
                why=f"the reader of stream {history.streams[stream]} was silent for over {fresh_ns / 1e9:g} s"
            )
        late = _Late.of(acked, seen, fresh_ns)
        for episode in episodes:
            took, still = late.within(episode)
            longest, stale = max(longest, took), max(stale, took if still else 0)
    if stale:
        return Freshness(censored=True, at_least_ns=max(longest, stale), why="data was still stale at an episode's end")
    return Freshness(longest)


def silent(reads: Operations, span: tuple[int, int], fresh_ns: int) -> bool:
    """Whether no read was under way for longer than `fresh_ns`, in a stretch that touches the span's inside."""
    order = np.argsort(reads.invoked_ns, kind="stable")
    invoked = reads.invoked_ns[order]
    completed = reads.completed_ns[order]
    until = np.maximum.accumulate(np.where(completed == NO_TIME, invoked, completed))
    begins = np.concatenate([[span[0]], until])
    ends = np.concatenate([invoked, [span[1]]])
    return bool(np.any((ends - begins > fresh_ns) & (begins < span[1]) & (ends > span[0])))


@dataclass(frozen=True)
class _Late:
    """For each acknowledged write: from when on it was overdue (at the earliest), and when a reader saw it."""

    overdue_ns: Ints
    seen_ns: Ints

    @staticmethod
    def of(acked: Operations, reads: Operations, fresh_ns: int) -> "_Late":
        hits = reads.select((reads.outcome == Outcome.OK) & (reads.seq >= 0))
        order = np.argsort(hits.completed_ns, kind="stable")
        newest = np.maximum.accumulate(hits.seq[order])
        instants = np.append(hits.completed_ns[order], FAR_NS)
        seen = instants[np.searchsorted(newest, acked.seq)]
        overdue = np.maximum(acked.completed_ns, acked.invoked_ns + fresh_ns + 1)
        return _Late(overdue, seen)

    def within(self, episode: Episode) -> tuple[int, bool]:
        """From the episode's begin until nothing is overdue (ns), and whether something still is at its end."""
        from_ns = np.maximum(self.overdue_ns, episode.begin_ns)
        late = (from_ns < self.seen_ns) & (from_ns <= episode.end_ns)
        if not late.any():
            return 0, False
        until = int(self.seen_ns[late].max())
        return min(until, episode.end_ns) - episode.begin_ns, until > episode.end_ns
