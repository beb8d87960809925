"""The oracle: the judge once more, slow and plain, written only from the definitions in DESIGN.

It shares no code with `chaosdrills.core` and uses only the standard library. Sentences in quotes are DESIGN's.
All instants are whole ticks of one exact clock (no rounding anywhere), so that comparisons at edges are exact;
an open end is infinite. Where DESIGN is silent the docstring says "Reading:".
"""

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Span = tuple[int, float]  # begin and end in ticks; the end may be infinite

DEFAULTS: Json = {
    "stable_s": 5,
    "recovered_ratio": 0.9,
    "slow_s": 1,
    "gap_s": 0.5,
    "baseline_s": 10,
    "watch_s": 10,
    "fresh_s": 5,
    "recovery": "self",
}
MARKS = {"fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"}
POOLED_BELOW = 20


@lru_cache(maxsize=100_000)
def exact(number: Any) -> Fraction:
    """The number as it is written: 0.1 is a tenth, not the nearest binary fraction."""
    return Fraction(str(number)) if isinstance(number, float) else Fraction(number)


class Clock:
    """Seconds to whole ticks and back; a tick divides every time that occurs."""

    def __init__(self, times: list[Any]) -> None:
        self.ticks_per_s = math.lcm(1, *(exact(time).denominator for time in times))

    def ticks(self, seconds: Any) -> int:
        time = exact(seconds)
        return time.numerator * self.ticks_per_s // time.denominator

    def seconds(self, ticks: float | None) -> float | None:
        return None if ticks is None or ticks == math.inf else float(Fraction(int(ticks), self.ticks_per_s))


@dataclass(frozen=True)
class Limits:
    """Parameters and objectives, seconds in ticks."""

    stable: int
    ratio: Fraction
    slow: int
    gap: int
    baseline: int
    watch: int
    fresh: int
    heal_ourselves: bool
    rto: int
    rpo: int
    max_lost: int | None
    fresh_judged: bool
    max_unavailable: int | None = None


@dataclass(frozen=True)
class Operation:
    """ "one attempted write or read" """

    kind: str
    stream: str
    seq: int | None
    invoked: int
    completed: int | None
    outcome: str
    good: bool

    @property
    def ack(self) -> int | None:
        """ "An *ack* is an `ok` at its `completed_s`." """
        return self.completed if self.outcome == "ok" else None


@dataclass(frozen=True)
class Record:
    """A parsed history."""

    is_log: bool
    operations: list[Operation]
    marks: list[tuple[int, str]]
    finals: dict[str, tuple[int, list[int | None]]]
    ended: bool
    polls: dict[str, list[Operation]]

    def at(self, *names: str) -> list[int]:
        return sorted(instant for instant, name in self.marks if name in names)

    @cached_property
    def writes(self) -> list[Operation]:
        return [operation for operation in self.operations if operation.kind == "write"]

    @cached_property
    def reads(self) -> list[Operation]:
        return [operation for operation in self.operations if operation.kind == "read"]

    @cached_property
    def relevant(self) -> list[Operation]:
        """ "RTO is about writes and a register's reads" """
        return self.writes if self.is_log else self.operations

    @property
    def t_f(self) -> int | None:
        """ "`t_f` is the first `fault_begin`." """
        return min(self.at("fault_begin"), default=None)

    @property
    def end_of_load(self) -> int | None:
        """ "mark `load_end`, else the last `invoked_s` of a write or a register's read". The last of several marks."""
        if self.at("load_end"):
            return self.at("load_end")[-1]
        return max((operation.invoked for operation in self.relevant), default=None)

    def unmatched(self, begin: str, end: str) -> bool:
        """Whether a begin has no end: matched in the order of time, begins first at equal instants."""
        waiting = 0
        for _, name in sorted(self.marks, key=lambda mark: (mark[0], mark[1] != begin)):
            if name == begin:
                waiting += 1
            elif name == end and waiting:
                waiting -= 1
        return waiting > 0

    def begins(self) -> list[tuple[int, bool]]:
        """Instants from which episodes may count, in order, each with whether it is a fault's.

        "from a `fault_begin`, or a later `heal_begin` [...]; what begins at or after [the end of load] makes none"
        """
        faults, heals, end = set(self.at("fault_begin")), set(self.at("heal_begin")), self.end_of_load
        if self.t_f is None or end is None:
            return []
        instants = faults | {heal for heal in heals if heal > self.t_f}
        return [(instant, instant in faults) for instant in sorted(instants) if instant < end]


def read(objects: list[Json], clock: Clock, slow: int) -> Record:
    operations, marks, finals, kinds, ended = [], [], {}, [], False
    polls: dict[str, list[Operation]] = {}
    for line in objects:
        if line["kind"] in ("write", "read"):
            operations.append(_operation(line, clock, slow))
        elif line["kind"] == "poll":
            polls.setdefault(line["stream"], []).append(_operation(line | {"seq": None}, clock, slow))
        elif line["kind"] == "mark" and line["name"] in MARKS:
            marks.append((clock.ticks(line["at_s"]), line["name"]))
        elif line["kind"] == "final" and line["stream"] not in finals:
            finals[line["stream"]] = (clock.ticks(line["at_s"]), line["seqs"])
        elif line["kind"] == "header":
            kinds.append(line["stream_kind"])
        elif line["kind"] == "end":
            ended = True
        else:
            raise ValueError(f"not a history: {line}")
    (kind,) = kinds
    for line in objects:
        if line["kind"] == "header":
            polls = {name: [] for name in _names(line.get("poll_streams"))} | polls
    return Record(kind == "log", operations, marks, finals, ended, polls)


def _names(given: Any) -> list[str]:
    """The header's list of names, if it is one."""
    right = isinstance(given, list) and all(isinstance(name, str) for name in given) and len(set(given)) == len(given)
    return given if right else []


def _operation(line: Json, clock: Clock, slow: int) -> Operation:
    """ "*Good*: `ok` within `slow_s` of `invoked_s`. *Bad*: any other, also `unknown`" """
    invoked = clock.ticks(line["invoked_s"])
    completed = None if line["completed_s"] is None else clock.ticks(line["completed_s"])
    good = line["outcome"] == "ok" and completed is not None and completed - invoked <= slow
    return Operation(line["kind"], line["stream"], line["seq"], invoked, completed, line["outcome"], good)


def within(instants: list[int], begin: int, end: int) -> int:
    """How many of the sorted instants lie in [begin, end)."""
    return bisect_left(instants, end) - bisect_left(instants, begin)


# ---- recovery


def baseline_window(record: Record, limits: Limits) -> tuple[int, int] | None:
    """ "the last `baseline_s` before `t_f`, from the first ack or the last bad operation if later (those invoked within
    `slow_s` of `t_f` belong to the fault) [...] Shorter than `stable_s`: null." Without an ack before it: null."""
    t_f = record.t_f
    acks = [operation.ack for operation in record.relevant if operation.ack is not None]
    if t_f is None or not acks or min(acks) >= t_f:
        return None
    bad = [op.invoked for op in record.relevant if not op.good and op.invoked < t_f - limits.slow]
    begin = max([t_f - limits.baseline, min(acks), *bad])
    return (begin, t_f) if t_f - begin >= limits.stable and t_f > begin else None


class Stream:
    """The operations of one kind and stream (or of those pooled as one) with what they say about outages."""

    def __init__(self, operations: list[Operation], window: tuple[int, int], limits: Limits) -> None:
        begin, t_f = window
        self.acks = sorted(operation.ack for operation in operations if operation.ack is not None)
        self.good = sorted(operation.invoked for operation in operations if operation.good)
        self.good_in_baseline = within(self.good, begin, t_f)
        # "Low: some stream's good operations by `invoked_s` < `recovered_ratio` x baseline x `stable_s` - 1."
        self.low_below = limits.ratio * Fraction(self.good_in_baseline, t_f - begin) * limits.stable - 1
        # "its *gap*, the larger of `gap_s` and twice its longest span between acks in the baseline"
        spans = [b - a for a, b in pairwise(self.acks) if a >= begin and b <= t_f]
        self.gap = max(limits.gap, 2 * max(spans, default=0))
        # "a span between neighbouring acks longer than its *gap* [...]; open (end null) if operations were invoked
        # for longer than the gap after the last ack". Reading: a stream without any ack has no outage, only bad
        # operations.
        self.outages: list[Span] = [(a, b) for a, b in pairwise(self.acks) if b - a > self.gap]
        if self.acks and max(operation.invoked for operation in operations) - self.acks[-1] > self.gap:
            self.outages.append((self.acks[-1], math.inf))


def streams_of(record: Record, window: tuple[int, int], limits: Limits) -> list[Stream]:
    """ "each kind and stream for itself. [...] Registers, and all logs with fewer than 20 operations in it [the
    baseline], are pooled as one." Registers: the writes as one, the reads as one."""
    groups: dict[Any, list[Operation]] = {}
    invoked = Counter(write.stream for write in record.writes if window[0] <= write.invoked < window[1])
    for operation in record.relevant:
        pooled = not record.is_log or invoked[operation.stream] < POOLED_BELOW
        groups.setdefault((operation.kind, None if pooled else operation.stream), []).append(operation)
    return [Stream(operations, window, limits) for operations in groups.values()]


def union(spans: list[Span]) -> list[Span]:
    """ "`outages`: their union over streams and the whole record": spans that overlap or touch become one."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


@dataclass(frozen=True)
class Episode:
    begin: int
    end: int
    sustained: int | None  # None: censored


class Measured:
    """A record with a baseline, and the questions that DESIGN asks of it."""

    def __init__(self, record: Record, window: tuple[int, int], limits: Limits) -> None:
        self.record, self.window, self.limits = record, window, limits
        self.streams = streams_of(record, window, limits)
        self.acks = sorted({ack for stream in self.streams for ack in stream.acks})
        self.bad = sorted(operation.invoked for operation in record.relevant if not operation.good)
        self.outages = union([span for stream in self.streams for span in stream.outages])

    def low(self, start: int) -> bool:
        return any(within(s.good, start, start + self.limits.stable) < s.low_below for s in self.streams)

    def in_outage(self, begin: int, end: int) -> bool:
        return any(a < end and b > begin for stream in self.streams for a, b in stream.outages)

    def clean(self, start: int) -> bool:
        """ "*Clean*: not low, no bad operation invoked in it, overlapping no outage." """
        end = start + self.limits.stable
        return not self.low(start) and not within(self.bad, start, end) and not self.in_outage(start, end)

    def long_bad_run(self, begin: int, end: int) -> bool:
        """ "run of bad operations (neighbours under 2 x `slow_s` apart) lasts `stable_s`", all streams together.

        Reading: those invoked in [begin, end], the end of the episode included.
        """
        first = previous = None
        for instant in self.bad:
            if begin <= instant <= end:
                if first is None or previous is None or instant - previous >= 2 * self.limits.slow:
                    first = instant
                if instant - first >= self.limits.stable:
                    return True
                previous = instant
        return False

    def sustained(self, begin: int, end: int) -> int | None:
        """ "begin -> start of the first clean window from which on, to the end of the episode, no window is low and no
        run of bad operations [...] lasts `stable_s`"; "Windows of `stable_s` start at an episode's begin and at each
        ack, and end inside it". None: not restored."""
        starts = [begin, *(ack for ack in self.acks if ack > begin)]
        starts = [start for start in starts if start + self.limits.stable <= end]
        low = [self.low(start) for start in starts]
        for index, start in enumerate(starts):
            if self.clean(start) and not any(low[index:]) and not self.long_bad_run(start, end):
                return start - begin
        return None

    def in_long_outage(self, instant: int) -> bool:
        """ "in an outage already longer than its gap" """
        return any(instant - a > s.gap and instant < b for s in self.streams for a, b in s.outages)

    def episodes(self) -> list[Episode]:
        """ "to the next, the last to the end of load [...] One not restored, or in an outage already longer than its
        gap, when the next begins is joined to it and keeps its own begin [...] With `recovery` self [...] an episode
        with a fault in it is censored where its heal would join it [...] With `healed` it is joined." """
        begins, end = self.record.begins(), self.record.end_of_load
        if not begins or end is None:
            return []
        episodes = []
        (begin, has_fault), *later = begins
        for instant, is_fault in later:
            sustained = self.sustained(begin, instant)
            joined = sustained is None or self.in_long_outage(instant)
            if not joined:
                episodes.append(Episode(begin, instant, sustained))
                begin, has_fault = instant, is_fault
            elif has_fault and not is_fault and not self.limits.heal_ourselves:
                episodes.append(Episode(begin, instant, None))
                begin, has_fault = instant, False
            else:
                has_fault = has_fault or is_fault
        return [*episodes, Episode(begin, end, self.sustained(begin, end))]

    def resolution(self, episodes: list[Episode]) -> int:
        """ "the largest gap [...]; where only throughput dipped (no outage, nothing bad) the larger of it and
        `stable_s`". Reading: in an episode's dip, begin to sustained (censored: to its end)."""
        gap = max(stream.gap for stream in self.streams)
        for episode in episodes:
            end = episode.end if episode.sustained is None else episode.begin + episode.sustained
            quiet = not self.in_outage(episode.begin, end) and not within(self.bad, episode.begin, end)
            if end > episode.begin and quiet:
                return max(gap, self.limits.stable)
        return gap


# ---- freshness


def silent(reads: list[Operation], t_f: int, end: int, fresh: int) -> bool:
    """ "a stream's silence over `fresh_s` is the reader's fault": a span between t_f and the end of load that no
    read covers from its invocation to its completion. One that straddles either counts whole."""
    spans, covered = [], None
    for operation in sorted(reads, key=lambda operation: operation.invoked):
        spans.append((t_f if covered is None else covered, operation.invoked))
        until = operation.invoked if operation.completed is None else operation.completed
        covered = until if covered is None else max(covered, until)
    spans.append((t_f if covered is None else covered, end))
    return any(b - a > fresh and a < end and b > t_f for a, b in spans)


def freshness_of(record: Record, stream: str, episode: Episode, fresh: int) -> int | None:
    """ "a stream's age is the time since `invoked_s` of its oldest acknowledged write newer than the newest seq that a
    reader has seen, else 0. `freshness_s`: begin -> age within `fresh_s` for the rest of the episode". None: still
    stale at its end.

    The age is over `fresh_s` while any acknowledged write invoked longer ago than that is unseen; a write is unseen
    from its ack until a reader has seen it or a newer one.
    """
    fresh_after = 0
    seen_by = [(r.seq, r.ack) for r in record.reads if r.stream == stream and r.ack is not None and r.seq is not None]
    for write in record.writes:
        if write.stream != stream or write.ack is None:
            continue
        seen: float = min((ack for seq, ack in seen_by if seq >= _seq(write)), default=math.inf)
        if write.ack <= episode.end and episode.end - write.invoked > fresh and seen > episode.end:
            return None
        stale_from = max(write.ack, write.invoked + fresh, episode.begin)
        stale_until = min(seen, episode.end)
        if stale_from < stale_until:
            fresh_after = max(fresh_after, int(stale_until) - episode.begin)
    return fresh_after


def freshness(record: Record, episodes: list[Episode], limits: Limits) -> tuple[int | None, int | None]:
    """(`freshness_s`, what it at least is if it was censored): "the longest; still stale at the end is censored like
    RTO"; both None for registers, without an episode, and where a reader was silent."""
    t_f, end = record.t_f, record.end_of_load
    if not record.is_log or not episodes or t_f is None or end is None:
        return None, None
    lengths, censored = [], False
    for stream in {write.stream for write in record.writes if write.ack is not None}:
        if silent([read for read in record.reads if read.stream == stream], t_f, end, limits.fresh):
            return None, None
        for episode in episodes:
            length = freshness_of(record, stream, episode, limits.fresh)
            censored = censored or length is None
            lengths.append(episode.end - episode.begin if length is None else length)
    return (None, max(lengths)) if censored else (max(lengths), None)


# ---- availability: definitions of docs/measuring.md


def unavailable_for(polls: list[Operation], begin: int, end: int) -> int:
    """ "the time from the first fault to the end of load in which the endpoint was not seen good": every stretch
    between two neighbouring instants of which a bad poll at or before its begin was followed by no later good one."""
    instants = sorted({begin, end, *(poll.invoked for poll in polls if begin < poll.invoked < end)})
    total = 0
    for first, second in pairwise(instants):
        bad = max((poll.invoked for poll in polls if not poll.good and poll.invoked <= first), default=None)
        good = max((poll.invoked for poll in polls if poll.good and poll.invoked <= first), default=None)
        if bad is not None and (good is None or good <= bad):
            total += second - first
    return total


def bad_at_the_end(polls: list[Operation], end: int) -> bool:
    """ "still unavailable when load ended": a bad poll before it, and no later good one up to it."""
    bad = max((poll.invoked for poll in polls if not poll.good and poll.invoked < end), default=None)
    return bad is not None and not any(poll.good and bad < poll.invoked <= end for poll in polls)


def availability(record: Record, limits: Limits) -> tuple[int | None, int | None, bool]:
    """(`unavailable_s`, its resolution, whether some stream was bad at the end): "the largest of the streams"; "null if
    there is no poll stream, no fault, no good poll in the baseline before t_f, or a silence of the poller longer than
    fresh_s"; of any stream. The resolution is the longest span between neighbouring polls from `baseline_s` before
    t_f on, the end of load being the last."""
    t_f, end = record.t_f, record.end_of_load
    if not record.polls or t_f is None or end is None or end <= t_f:
        return None, None, False
    lengths, spans, bad = [], [], False
    for polls in record.polls.values():
        if not any(poll.good and t_f - limits.baseline <= poll.invoked < t_f for poll in polls):
            return None, None, False
        if silent(polls, t_f, end, limits.fresh):
            return None, None, False
        instants = sorted(poll.invoked for poll in polls if t_f - limits.baseline <= poll.invoked < end)
        spans += [b - a for a, b in pairwise([*instants, end])]
        lengths.append(unavailable_for(polls, t_f, end))
        bad = bad or bad_at_the_end(polls, end)
    return max(lengths), max(spans), bad


def report_availability(record: Record, limits: Limits, clock: Clock) -> tuple[Json, list[str]]:
    """The figures, only where there are polls or a limit, and the verdict, only where there is a limit."""
    if not record.polls and limits.max_unavailable is None:
        return {}, []
    actual, resolution, bad = availability(record, limits)
    figures: Json = {"unavailable_s": clock.seconds(actual), "unavailable_resolution_s": clock.seconds(resolution)}
    if limits.max_unavailable is None:
        return figures, []
    verdict = time_verdict(actual, None, resolution, limits.max_unavailable)
    if verdict == "met" and (bad or never_met(record) or not watched(record, limits)):
        verdict = "unknown"
    return {"unavailable_verdict": verdict, **figures}, [verdict]


# ---- loss


def counting_finals(record: Record) -> dict[str, list[int | None]]:
    """ "It counts if not before the last `heal_end` (each `heal_begin` needs one), `drained` (where there are such
    marks) and the last completion of the stream's writes." """
    if record.unmatched("heal_begin", "heal_end"):
        return {}
    counting = {}
    for stream, (at, seqs) in record.finals.items():
        completed = [w.completed for w in record.writes if w.stream == stream and w.completed is not None]
        if all(at >= instant for instant in [*record.at("heal_end", "drained"), *completed]):
            counting[stream] = seqs
    return counting


@dataclass(frozen=True)
class Loss:
    """What the final read-backs found; counts are None if none of them counts."""

    counts: dict[str, int | None]
    doubtful: bool  # an acknowledged write of a register may have been replaced: never met
    lower_bound: bool
    earliest: int | None  # acks of lost writes
    latest: int | None
    whole: bool  # every acknowledged stream has its final


def measure_loss(record: Record) -> Loss:
    finals = counting_finals(record)
    acked = {write.stream for write in record.writes if write.ack is not None}
    counts: dict[str, int | None] = dict.fromkeys(["lost", "recovered", "unexpected", "duplicated", "reordered"])
    lost: list[Operation] = []
    doubtful = False
    if finals:
        counts = found(record, finals)
        lost, doubtful = lost_of_log(record, finals) if record.is_log else lost_of_register(record, finals)
        counts["lost"] = len(lost)
    acks = [write.ack for write in lost if write.ack is not None]
    bound = is_lower_bound(record, finals, lost)
    whole = bool(finals) and acked <= set(finals)
    return Loss(counts, doubtful, bound, min(acks, default=None), max(acks, default=None), whole)


def survivors_of(record: Record, finals: dict[str, list[int | None]]) -> set[tuple[str, int | None]]:
    """ "survivor: a write that a read after recovery finds": what was never attempted, or is damaged, is none."""
    entries = {(stream, seq) for stream, seqs in finals.items() for seq in seqs}
    return entries & {(write.stream, write.seq) for write in record.writes}


def found(record: Record, finals: dict[str, list[int | None]]) -> dict[str, int | None]:
    """ "`recovered`: distinct `unknown` or `failed` that survived. `unexpected`: distinct, never attempted or damaged
    (null) [each null counts]. `duplicated`: a survivor's occurrences after the first. `reordered` (log): firsts with a
    smaller seq than one found before." """
    survivors = survivors_of(record, finals)
    not_ok = {(write.stream, write.seq) for write in record.writes if write.outcome != "ok"}
    entries = [(stream, seq) for stream, seqs in finals.items() for seq in seqs]
    strange = {entry for entry in entries if entry not in survivors and entry[1] is not None}
    reordered = 0
    for stream, seqs in finals.items():
        firsts = [seq for seq in dict.fromkeys(seqs) if seq is not None and (stream, seq) in survivors]
        reordered += sum(any(before > seq for before in firsts[:index]) for index, seq in enumerate(firsts))
    return {
        "recovered": len(survivors & not_ok),
        "unexpected": len(strange) + sum(seq is None for _, seq in entries),
        "duplicated": sum(entry in survivors for entry in entries) - len(survivors),
        "reordered": reordered if record.is_log else None,
    }


def lost_of_log(record: Record, finals: dict[str, list[int | None]]) -> tuple[list[Operation], bool]:
    """ "log: `lost` = the set of acknowledged (stream, seq) that no survivor has." """
    survivors = survivors_of(record, finals)
    acked = [write for write in record.writes if write.outcome == "ok" and write.stream in finals]
    return [write for write in acked if (write.stream, write.seq) not in survivors], False


def lost_of_register(record: Record, finals: dict[str, list[int | None]]) -> tuple[list[Operation], bool]:
    """ "register: acknowledged writes newer than the survivor, if it was `ok` and completed before they were invoked;
    if it overlapped them or was not `ok` they may have been replaced: not `lost`, but never `met`. No survivor is
    older than all." The survivor is the newest that was found; the second value is the doubt."""
    survivors, lost, doubtful = survivors_of(record, finals), [], False
    for stream in finals:
        writes = [write for write in record.writes if write.stream == stream]
        newest = max((w for w in writes if (stream, w.seq) in survivors), key=_seq, default=None)
        for write in writes:
            if write.ack is not None and (newest is None or _seq(write) > _seq(newest)):
                if newest is None or (newest.ack is not None and newest.ack < write.invoked):
                    lost.append(write)
                else:
                    doubtful = True
    return lost, doubtful


def _seq(operation: Operation) -> int:
    """The seq; a read of nothing (null) is older than all."""
    return -1 if operation.seq is None else operation.seq


def is_lower_bound(record: Record, finals: dict[str, list[int | None]], lost: list[Operation]) -> bool:
    """ "If no ack before the oldest lost write survives (in its stream; register: in any) it is a lower bound".
    The oldest is the one acknowledged first; of several at once, any."""
    survivors = survivors_of(record, finals)
    kept = [write for write in record.writes if write.ack is not None and (write.stream, write.seq) in survivors]
    oldest = min((write.ack for write in lost if write.ack is not None), default=None)
    return any(
        not any(
            k.ack is not None and k.ack < write.ack and (k.stream == write.stream or not record.is_log) for k in kept
        )
        for write in lost
        if write.ack is not None and write.ack == oldest
    )


def stale(record: Record) -> int | None:
    """ "`stale` (register): ok reads of less (null: of nothing) than was acknowledged before they were invoked" """
    if record.is_log:
        return None
    acknowledged = acknowledged_by_stream(record)
    return sum(
        any(ack < read.invoked and seq > _seq(read) for ack, seq in acknowledged.get(read.stream, []))
        for read in record.reads
        if read.outcome == "ok"
    )


def acknowledged_by_stream(record: Record) -> dict[str, list[tuple[int, int]]]:
    """(ack, seq) of every acknowledged write."""
    found: dict[str, list[tuple[int, int]]] = {}
    for write in record.writes:
        if write.ack is not None:
            found.setdefault(write.stream, []).append((write.ack, _seq(write)))
    return found


# ---- verdicts


def worst(*verdicts: str) -> str:
    """ "Any missed objective makes the drill `missed`; else any unknown makes it `unknown`; else `met`." """
    return min(verdicts, key=["missed", "unknown", "met"].index)


def never_met(record: Record) -> bool:
    """ "None [no `fault_begin`], or one without its end: nothing is `met`"; "A record without `end` can be `missed`,
    never `met`." """
    return record.t_f is None or record.unmatched("fault_begin", "fault_end") or not record.ended


def time_verdict(actual: int | None, at_least: int | None, resolution: int | None, objective: int) -> str:
    """ "`met`: actual + resolution <= objective; `missed`: actual > objective; between them `unknown`"; censored:
    "`missed` if that is past the objective, else `unknown`"; not measured: unknown."""
    shortest = at_least if actual is None else actual
    if shortest is not None and shortest > objective:
        return "missed"
    met = actual is not None and resolution is not None and actual + resolution <= objective
    return "met" if met else "unknown"


def watched(record: Record, limits: Limits) -> bool:
    """ "Load shorter than `watch_s` after the last begin turns `met` into `unknown`." """
    begins, end = record.begins(), record.end_of_load
    return bool(begins) and end is not None and end - begins[-1][0] >= limits.watch


def rpo_of(record: Record, loss: Loss, limits: Limits) -> tuple[int | None, str]:
    """(`rpo_actual_s`, verdict): "earliest ack of a lost write, whatever lost it -> the later of `t_f` and the latest.
    [...] 0 if nothing is lost; null without an ack before `t_f`, or if an acknowledged stream lacks its `final`: [...]
    `missed` if that already breaks an objective, else `unknown`. [a lower bound:] `missed` or `unknown`, never `met`.
    `max_lost` counts into `rpo_verdict`; an RPO of 0 implies it is 0." """
    t_f, lost = record.t_f, loss.counts["lost"]
    length = 0
    if loss.earliest is not None and loss.latest is not None:
        length = max(loss.latest, loss.latest if t_f is None else t_f) - loss.earliest
    before = t_f is not None and any(write.ack is not None and write.ack < t_f for write in record.writes)
    actual = length if before and loss.whole else None
    max_lost = 0 if limits.rpo == 0 else limits.max_lost
    if length > limits.rpo or (max_lost is not None and lost is not None and lost > max_lost):
        return actual, "missed"
    met = actual is not None and not loss.lower_bound and not loss.doubtful and not never_met(record)
    return actual, "met" if met else "unknown"


def judge(
    objects: list[Json],
    *,
    rto_s: Any,
    rpo_s: Any,
    max_lost: int | None = None,
    fresh_judged: bool = False,
    max_unavailable_s: Any = None,
    **given: Any,
) -> Json:
    """What `chaos drills judge --json` prints for a history's objects, without `parameters` and `examples`."""
    parameters = {**DEFAULTS, **given}
    if set(parameters) != set(DEFAULTS):
        raise TypeError(f"not parameters: {set(parameters) - set(DEFAULTS)}")
    keys = ("invoked_s", "completed_s", "at_s")
    times = [line[key] for line in objects for key in keys if line.get(key) is not None]
    spans = ["stable_s", "slow_s", "gap_s", "baseline_s", "watch_s", "fresh_s"]
    clock = Clock([*times, *(parameters[name] for name in spans), rto_s, rpo_s, max_unavailable_s or 0])
    stable, slow, gap, baseline, watch, fresh = (clock.ticks(parameters[name]) for name in spans)
    ratio, healed = exact(parameters["recovered_ratio"]), parameters["recovery"] == "healed"
    rto, rpo = clock.ticks(rto_s), clock.ticks(rpo_s)
    users = None if max_unavailable_s is None else clock.ticks(max_unavailable_s)
    limits = Limits(stable, ratio, slow, gap, baseline, watch, fresh, healed, rto, rpo, max_lost, fresh_judged, users)
    record = read([it for it in objects if it["kind"] != "sample"], clock, slow)  # those: tests.core.counted
    recovery, rto_verdict = report_recovery(record, limits, clock)
    loss = measure_loss(record)
    rpo_actual, rpo_verdict = rpo_of(record, loss, limits)
    users_figures, users_verdict = report_availability(record, limits, clock)
    outcomes = Counter(write.outcome for write in record.writes)
    return {
        "verdict": worst(rto_verdict, rpo_verdict, *users_verdict),
        "rto_verdict": rto_verdict,
        "rpo_verdict": rpo_verdict,
        **recovery,
        **users_figures,
        "rpo_actual_s": clock.seconds(rpo_actual),
        "attempted": len(record.writes),
        "acknowledged": outcomes["ok"],
        "failed": outcomes["failed"],
        "unknown": outcomes["unknown"],
        **loss.counts,
        "stale": stale(record),
    }


RECOVERY = [
    "rto_actual_s",
    "rto_censored",
    "rto_at_least_s",
    "resolution_s",
    "detection_s",
    "first_success_s",
    "freshness_s",
    "baseline_per_s",
    "outages",
]


def report_recovery(record: Record, limits: Limits, clock: Clock) -> tuple[Json, str]:
    """The figures of recovery and `rto_verdict`. "A null baseline makes every recovery figure null." """
    window, t_f = baseline_window(record, limits), record.t_f
    if window is None or t_f is None:
        return dict.fromkeys(RECOVERY), "unknown"
    measured = Measured(record, window, limits)
    episodes = measured.episodes()
    lengths = [e.end - e.begin if e.sustained is None else e.sustained for e in episodes]
    censored = any(episode.sustained is None for episode in episodes)
    # "`rto_actual_s` is the longest of the episodes'"; "`rto_at_least_s` the longest end - begin (measured ones too)"
    actual, at_least = (None, max(lengths)) if censored else (max(lengths, default=None), None)
    resolution = measured.resolution(episodes)
    fresh, fresh_at_least = freshness(record, episodes, limits)
    verdict = time_verdict(actual, at_least, resolution, limits.rto)
    if limits.fresh_judged:
        verdict = worst(verdict, time_verdict(fresh, fresh_at_least, resolution, limits.rto))
    if verdict == "met" and (never_met(record) or not watched(record, limits)):
        verdict = "unknown"
    # "*detection*: `t_f` -> first bad operation invoked from then on. *first success*: `t_f` -> end of the first
    # outage after it." Reading: the first that ends after it.
    detected = min((instant for instant in measured.bad if instant >= t_f), default=None)
    restored = min((end for _, end in measured.outages if end > t_f), default=None)
    rate = Fraction(sum(stream.good_in_baseline for stream in measured.streams), window[1] - window[0])
    figures = {
        "rto_actual_s": clock.seconds(actual),
        "rto_censored": censored if episodes else None,
        "rto_at_least_s": clock.seconds(at_least),
        "resolution_s": clock.seconds(resolution),
        "detection_s": None if detected is None else clock.seconds(detected - t_f),
        "first_success_s": None if restored is None else clock.seconds(restored - t_f),
        "freshness_s": clock.seconds(fresh),
        "baseline_per_s": float(rate * clock.ticks_per_s),
        "outages": [[clock.seconds(begin), clock.seconds(end)] for begin, end in measured.outages],
    }
    return figures, verdict
