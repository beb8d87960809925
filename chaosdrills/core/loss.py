"""Loss: which acknowledged writes are gone, decided from whole read-backs only.

A *log* keeps every write, a *register* the newest. A stream's `final` counts if it was taken not before the last heal
ended (each heal that began must have ended), the last `drained` mark, and the last completion of the stream's writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from chaosdrills.core.history import NO_SEQ, NO_TIME, Final, History, Ints, Operations, Outcome, by_stream
from chaosdrills.core.marks import all_ended

EXAMPLES = 5
Example = tuple[str, int | None]


@dataclass
class Tally:
    """Counts of writes over the streams whose read-back counts, with the first few (stream, seq) of each anomaly."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)

    def add(self, name: str, stream: str, seqs: Ints) -> None:
        """Count `seqs` of `stream` as `name`."""
        self.counts[name] = self.counts.get(name, 0) + len(seqs)
        shown = self.examples.setdefault(name, [])
        for seq in seqs[: EXAMPLES - len(shown)].tolist():
            shown.append((stream, None if seq == NO_SEQ else seq))

    def get(self, name: str) -> int | None:
        """The count of `name`; None if nothing of it was measured."""
        return self.counts.get(name)


@dataclass(frozen=True)
class Loss:
    """What is gone. Counts null (absent in `tally`) where no read-back counts.

    `window_ns`: from the earliest ack of a lost write to the later of the first fault and the latest; None if nothing
    is known to be lost. `actual_ns`: its length, 0 if nothing is lost, None if that cannot be known. `lower_bound`: no
    ack before the oldest lost write survives, so more may be gone. `may_be_lost`: acknowledged register writes that a
    survivor may have replaced. `missing`: acknowledged streams whose read-back does not count.
    """

    tally: Tally
    window_ns: tuple[int, int] | None
    actual_ns: int | None
    lower_bound: bool
    may_be_lost: int
    missing: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class _Survey:
    """One stream's writes against its read-back."""

    name: str
    written: Operations
    lost: Operations
    surviving_acks_ns: Ints


def loss_of(history: History, fault_ns: int | None) -> Loss:
    """Compare every acknowledged write with the read-backs."""
    tally = Tally()
    if history.stream_kind == "register":
        _count_stale(history, tally)
    written = by_stream(history.writes)
    counting = dict(_counting_finals(history, written))
    survey, may_be_lost = [], 0
    for stream in sorted(counting):
        name = history.streams[stream]
        mine = written.get(stream, _NOTHING)
        survivors = _take_stock(name, mine, counting[stream].seqs, tally, history.stream_kind == "log")
        if history.stream_kind == "log":
            gone, unsure = _lost_of_log(mine, survivors), 0
        else:
            gone, unsure = _lost_of_register(mine, survivors)
        may_be_lost += unsure
        tally.add("lost", name, gone.seq)
        survey.append(_Survey(name, mine, gone, _surviving_acks_ns(mine, survivors)))
    missing = tuple(
        history.streams[stream]
        for stream, mine in sorted(written.items())
        if stream not in counting and (mine.outcome == Outcome.OK).any()
    )
    return _concluded(history, fault_ns, tally, survey, may_be_lost, missing)


_NOTHING = Operations.of([])


def _counting_finals(history: History, written: dict[int, Operations]) -> Iterator[tuple[int, Final]]:
    """The read-backs that count, by stream."""
    if not all_ended(history, "heal"):
        return
    not_before = max(history.marks_named("heal_end", "drained"), default=NO_TIME)
    for stream, final in history.finals.items():
        mine = written.get(stream)
        last = int(mine.completed_ns.max()) if mine is not None else NO_TIME  # NO_TIME, null, is the least
        if final.at_ns >= max(not_before, last):
            yield stream, final


def _take_stock(name: str, written: Operations, found: Ints, tally: Tally, log: bool) -> Ints:
    """Count what the read-back shows; returns the distinct survivors, ascending."""
    attempted = np.isin(found, written.seq)
    survivors, first = np.unique(found[attempted], return_index=True)
    again = np.ones(int(attempted.sum()), dtype=np.bool_)
    again[first] = False
    tally.add("duplicated", name, found[attempted][again])
    strange = found[~attempted]
    damaged = strange[strange == NO_SEQ]
    tally.add("unexpected", name, np.concatenate([np.unique(strange[strange != NO_SEQ]), damaged]))
    not_ok = written.seq[written.outcome != Outcome.OK]
    tally.add("recovered", name, not_ok[np.isin(not_ok, survivors)])
    if log:
        in_order = found[attempted][np.sort(first)]
        newest = np.maximum.accumulate(in_order)
        tally.add("reordered", name, in_order[in_order < newest])
    return survivors


def _lost_of_log(written: Operations, survivors: Ints) -> Operations:
    return written.select((written.outcome == Outcome.OK) & ~np.isin(written.seq, survivors))


def _lost_of_register(written: Operations, survivors: Ints) -> tuple[Operations, int]:
    """The acknowledged writes surely lost, and the number of those that the survivor may have replaced."""
    newest = int(survivors[-1]) if len(survivors) else NO_SEQ
    newer = written.select((written.outcome == Outcome.OK) & (written.seq > newest))
    if newest == NO_SEQ:
        return newer, 0
    at = int(np.searchsorted(written.seq, newest))
    if written.outcome[at] != Outcome.OK:
        return newer.select(np.zeros(len(newer), dtype=np.bool_)), len(newer)
    after = newer.invoked_ns > written.completed_ns[at]
    return newer.select(after), int((~after).sum())


def _surviving_acks_ns(written: Operations, survivors: Ints) -> Ints:
    return written.select((written.outcome == Outcome.OK) & np.isin(written.seq, survivors)).completed_ns


def _count_stale(history: History, tally: Tally) -> None:
    """Ok reads of less than was acknowledged before they were invoked."""
    written = by_stream(history.writes)
    tally.add("stale", "", np.empty(0, dtype=np.int64))
    for stream, reads in sorted(by_stream(history.reads).items()):
        acked = written.get(stream, _NOTHING)
        acked = acked.select(acked.outcome == Outcome.OK)
        order = np.argsort(acked.completed_ns, kind="stable")
        newest = np.concatenate([[NO_SEQ], np.maximum.accumulate(acked.seq[order])])
        known = newest[np.searchsorted(acked.completed_ns[order], reads.invoked_ns, side="left")]
        stale = (reads.outcome == Outcome.OK) & (reads.seq < known)
        tally.add("stale", history.streams[stream], reads.seq[stale])


def _concluded(
    history: History,
    fault_ns: int | None,
    tally: Tally,
    survey: list[_Survey],
    may_be_lost: int,
    missing: tuple[str, ...],
) -> Loss:
    lost_acks = np.concatenate([one.lost.completed_ns for one in survey]) if survey else np.empty(0, dtype=np.int64)
    window = None
    if len(lost_acks):
        latest = int(lost_acks.max())
        window = (int(lost_acks.min()), latest if fault_ns is None else max(fault_ns, latest))
    length = window[1] - window[0] if window else 0
    why = _why_unknown(history, fault_ns, survey, missing)
    lower_bound = window is not None and _left_censored(survey, window[0], history.stream_kind == "log")
    return Loss(tally, window, None if why else length, lower_bound, may_be_lost, missing, why)


def _why_unknown(history: History, fault_ns: int | None, survey: list[_Survey], missing: tuple[str, ...]) -> str:
    """Why the length of the loss cannot be known; empty if it can."""
    if fault_ns is None:
        return "no fault was marked"
    acks = history.writes.completed_ns[history.writes.outcome == Outcome.OK]
    if not (acks < fault_ns).any():
        return "nothing was acknowledged before the fault"
    if not missing:
        return ""
    if not all_ended(history, "heal"):
        return "a heal began and did not end, so no read-back counts"
    reason = "was not read back" if not history.finals else "has no whole read-back after heal and drain"
    others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return f"stream {missing[0]}{others} {reason}"


def _left_censored(survey: list[_Survey], oldest_ns: int, log: bool) -> bool:
    """Whether no ack before the oldest lost write survives (log: in its stream; register: in any)."""
    if log:
        owners = [one for one in survey if (one.lost.completed_ns == oldest_ns).any()]
        return any(not (one.surviving_acks_ns < oldest_ns).any() for one in owners)
    return not any((one.surviving_acks_ns < oldest_ns).any() for one in survey)
