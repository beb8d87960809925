"""The oracle against literal histories whose whole results were worked out by hand from DESIGN, not from its output.

Unless a case says otherwise: a log of one stream, a write every 0.5 s for 20 s (40 writes), acknowledged at once;
`fault_begin` at 10; every acknowledged write found at 22. Windows of 2 s, baseline over [6, 10): 8 writes, 2 a second.
So the gap is 1 s (twice 0.5), and a window is low with fewer than 0.9 x 2 x 2 - 1 = 2.6 good writes, that is with 2.
"""

from collections import Counter
from itertools import count
from typing import Any

import pytest

from tests.core import simulator
from tests.core.oracle import judge

Json = dict[str, Any]
FAULT = [("fault_begin", 10), ("fault_end", 10.1)]
LOAD_END = ("load_end", 20)
OPTIONS: Json = {"rto_s": 10, "rpo_s": 5, "stable_s": 2, "baseline_s": 4, "watch_s": 4}
LOOSE: Json = {"recovered_ratio": 0.6}  # low below 0.6 x 2 x 2 - 1 = 1.4
CALM: Json = {
    "verdict": "met",
    "rto_verdict": "met",
    "rpo_verdict": "met",
    "rto_actual_s": 0.0,
    "rto_censored": False,
    "rto_at_least_s": None,
    "resolution_s": 1.0,
    "detection_s": None,
    "first_success_s": None,
    "freshness_s": None,
    "baseline_per_s": 2.0,
    "outages": [],
    "rpo_actual_s": 0.0,
    "attempted": 40,
    "acknowledged": 40,
    "failed": 0,
    "unknown": 0,
    "lost": 0,
    "recovered": 0,
    "unexpected": 0,
    "duplicated": 0,
    "reordered": 0,
    "stale": None,
}
NO_RECOVERY: Json = dict.fromkeys(list(CALM)[3:12]) | {"verdict": "unknown", "rto_verdict": "unknown"}
NO_COUNTS: Json = dict.fromkeys(["rpo_actual_s", "lost", "recovered", "unexpected", "duplicated", "reordered"]) | {
    "verdict": "unknown",
    "rpo_verdict": "unknown",
}
UNMET = {"verdict": "unknown", "rto_verdict": "unknown", "rpo_verdict": "unknown"}
OPEN = {"verdict": "unknown", "rto_verdict": "unknown"}
DOUBT = {"verdict": "unknown", "rpo_verdict": "unknown"}
LATE = {"verdict": "missed", "rto_verdict": "missed"}
LOSING = {"verdict": "missed", "rpo_verdict": "missed"}


def ops(
    begin: float, end: float, every: float = 0.5, *, lag: float = 0, at: float | None = None, **fields: Any
) -> list[Json]:
    """Operations invoked from begin up to (not at) end; acknowledged after `lag`, or all together `at` an instant."""
    made = []
    for index in range(round((end - begin) / every)):
        invoked = round(begin + index * every, 3)
        completed = None if fields.get("outcome") == "unknown" else round(invoked + lag, 3) if at is None else at
        made.append(
            {"kind": "write", "stream": "0", "outcome": "ok", "invoked_s": invoked, "completed_s": completed, **fields}
        )
    return made


def fails(begin: float, end: float, every: float = 0.5, **fields: Any) -> list[Json]:
    return ops(begin, end, every, outcome="failed", **fields)


def dip(begin: float, end: float, last: float = 20) -> list[Json]:
    """The usual load, failing from begin up to end."""
    return ops(0, begin) + fails(begin, end) + ops(end, last)


def story(
    operations: list[Json],
    marks: list[tuple[str, float]] | None = None,
    finals: Json | None = None,
    *,
    kind: str = "log",
    final_at: float = 22,
    ended: bool = True,
) -> list[Json]:
    """A history: writes numbered in the order of invocation; by default each stream keeps what was acked."""
    lines: list[Json] = [{"kind": "header", "version": 1, "service": "test", "stream_kind": kind, "started_at": "-"}]
    seqs: dict[str, count[int]] = {}
    kept: dict[str, list[int]] = {}
    for operation in sorted(operations, key=lambda line: float(line["invoked_s"])):
        if operation["kind"] == "write":
            stream = operation["stream"]
            operation = {**operation, "seq": next(seqs.setdefault(stream, count()))}
            kept.setdefault(stream, []).extend([operation["seq"]] if operation["outcome"] == "ok" else [])
        lines.append(operation)
    lines += [{"kind": "mark", "name": name, "at_s": at, "label": ""} for name, at in (marks or [*FAULT, LOAD_END])]
    found = kept if finals is None else finals
    lines += [{"kind": "final", "stream": stream, "at_s": final_at, "seqs": found[stream]} for stream in found]
    return [*lines, {"kind": "end", "at_s": 30}] if ended else lines


def seen(begin: float, end: float) -> list[Json]:
    """Polls every 0.5 s, a quarter of a second after each write of the usual load, that see it."""
    return [poll | {"seq": int(poll["invoked_s"] * 2)} for poll in ops(begin, end, kind="read")]


def empty(begin: float, end: float, every: float = 0.5, **fields: Any) -> list[Json]:
    return ops(begin, end, every, kind="read", seq=None, **fields)


def registers(read: list[Json], finals: Json, writes: list[Json] | None = None) -> list[Json]:
    """Two registers, one after the other: "a" takes writes 0 to 19 before the fault, "b" as many after it."""
    return story((writes or ops(0, 10, stream="a")) + ops(10, 20, stream="b") + read, None, finals, kind="register")


def both(read: list[Json]) -> list[Json]:
    """The same polls, shared between the two registers by time, their seq counted within each."""
    return [
        poll | ({"stream": "a"} if poll["invoked_s"] < 10 else {"stream": "b", "seq": poll["seq"] - 20})
        for poll in read
    ]


READING = both(seen(0.25, 20.25))
REGISTER = CALM | {"baseline_per_s": 4.0, "reordered": None, "stale": 0}
LOAD = ops(0, 20)
ALL = list(range(40))
HEAL = [("heal_begin", 13), ("heal_end", 13.2)]
OUTAGE = CALM | {
    "rto_actual_s": 3.5,
    "detection_s": 0.5,
    "first_success_s": 3.5,
    "outages": [[10, 13.5]],
    "acknowledged": 34,
    "failed": 6,
}
NEVER_BACK = CALM | OPEN | {"rto_actual_s": None, "rto_censored": True, "rto_at_least_s": 10.0, "detection_s": 0.5}
NEVER_BACK |= {"outages": [[10, None]], "acknowledged": 21}
LONG = CALM | {"rto_actual_s": 6.0, "detection_s": 0.5, "first_success_s": 6.0, "outages": [[10, 16]]}
LONG |= {"acknowledged": 29, "failed": 11}
HEALED_OUT = LONG | OPEN | {"rto_actual_s": None, "rto_censored": True, "rto_at_least_s": 3.0}

RECOVERY_CASES: dict[str, tuple[list[Json], Json, Json]] = {
    "no dip": (story(LOAD), {}, CALM),
    "clean outage": (story(dip(10.5, 13.5)), {}, OUTAGE),
    "outage, actual and resolution just within": (story(dip(10.5, 13.5)), {"rto_s": 4.5}, OUTAGE),
    "outage, resolution past the objective": (story(dip(10.5, 13.5)), {"rto_s": 4.4}, OUTAGE | OPEN),
    "outage, actual past the objective": (story(dip(10.5, 13.5)), {"rto_s": 3.4}, OUTAGE | LATE),
    # 12.5 and 13.0 are acknowledged within a second, the four before them too late: bad, though never lost
    "late burst": (
        story(ops(0, 10.5) + ops(10.5, 13.5, at=13.5) + ops(13.5, 20)),
        {},
        OUTAGE | {"acknowledged": 40, "failed": 0},
    ),
    # acks 10.0, 12.0, 12.5, ...: an outage of 2 s; operations invoked up to 13.0 are bad
    "slow acks": (
        story(ops(0, 10.5) + ops(10.5, 13.5, lag=1.5) + ops(13.5, 20)),
        {},
        OUTAGE | {"first_success_s": 2.0, "outages": [[10, 12]], "acknowledged": 40, "failed": 0},
    ),
    "acks exactly at slow_s are good": (
        story(ops(0, 10.5) + ops(10.5, 13.5, lag=1) + ops(13.5, 20)),
        {},
        CALM | {"rto_actual_s": 1.5, "first_success_s": 1.5, "outages": [[10, 11.5]]},
    ),
    # [10, 12) is clean, but the windows from 12.5 and from 13 are low
    "late-acting fault": (
        story(dip(13.5, 16)),
        {},
        CALM
        | {"rto_actual_s": 6.0, "detection_s": 3.5, "first_success_s": 6.0, "outages": [[13, 16]]}
        | {"acknowledged": 35, "failed": 5},
    ),
    # no window has fewer than 2 good writes and the bad run lasts 0.5 s
    "a later, shorter blip is not charged": (
        story(dip(14, 15)),
        LOOSE,
        CALM | {"detection_s": 4.0, "first_success_s": 5.0, "outages": [[13.5, 15]], "acknowledged": 38, "failed": 2},
    ),
    "flapping": (
        story([*dip(10.5, 11.5, 12.5), *fails(12.5, 13.5), *ops(13.5, 14.5), *fails(14.5, 15.5), *ops(15.5, 20)]),
        {},
        OUTAGE | {"rto_actual_s": 5.5, "first_success_s": 1.5, "outages": [[10, 11.5], [12, 13.5], [14, 15.5]]},
    ),
    "never back": (story(dip(10.5, 20)), {}, NEVER_BACK | {"failed": 19}),
    "never back, past the objective": (story(dip(10.5, 20)), {"rto_s": 9.9}, NEVER_BACK | LATE | {"failed": 19}),
    "unknown for ever": (story(ops(0, 10.5) + ops(10.5, 20, outcome="unknown")), {}, NEVER_BACK | {"unknown": 19}),
    "no load_end: the last invocation": (
        story(dip(10.5, 20), FAULT),
        {"rto_s": 9.4},
        NEVER_BACK | LATE | {"rto_at_least_s": 9.5, "failed": 19},
    ),
    # 20 writes of each in the baseline, so each stands alone with a gap of 0.5 and low below 0.9 x 5 x 2 - 1 = 8
    "one stream of three stalled": (
        story(
            ops(0, 20, 0.2, stream="a")
            + ops(0, 20, 0.2, stream="b")
            + ops(0, 10.2, 0.2, stream="c")
            + fails(10.2, 13, 0.2, stream="c")
            + ops(13, 20, 0.2, stream="c")
        ),
        {},
        OUTAGE
        | {"rto_actual_s": 3.0, "resolution_s": 0.5, "detection_s": 0.2, "first_success_s": 3.0, "baseline_per_s": 15.0}
        | {"outages": [[10, 13]], "attempted": 300, "acknowledged": 286, "failed": 14},
    ),
    # pooled: 4 a second, gap 1, low below 6.2; [13.5, 15.5) has 4 + 3, [13, 15) only 4 + 2; nothing bad, no outage
    "one of two small streams pauses: a dip of throughput": (
        story(ops(0, 20, stream="a") + ops(0, 10, stream="b") + ops(14, 20, stream="b")),
        {},
        CALM | {"rto_actual_s": 3.5, "resolution_s": 2.0, "baseline_per_s": 4.0, "attempted": 72, "acknowledged": 72},
    ),
    "two faults, two episodes": (
        story(
            dip(10.5, 12, 16.5) + fails(16.5, 18.5) + ops(18.5, 24),
            [*FAULT, ("fault_begin", 16), ("fault_end", 16), ("load_end", 24)],
            final_at=26,
        ),
        {},
        CALM
        | {"rto_actual_s": 2.5, "detection_s": 0.5, "first_success_s": 2.0, "outages": [[10, 12], [16, 18.5]]}
        | {"attempted": 48, "acknowledged": 41, "failed": 7},
    ),
    "a fault in an outage is joined": (
        story(dip(10.5, 16), [*FAULT, ("fault_begin", 13), ("fault_end", 14), LOAD_END]),
        {},
        LONG,
    ),
    "a heal in an outage censors": (story(dip(10.5, 16), [*FAULT, *HEAL, LOAD_END]), {}, HEALED_OUT),
    "a heal in an outage, past the objective": (
        story(dip(10.5, 16), [*FAULT, *HEAL, LOAD_END]),
        {"rto_s": 2.9},
        HEALED_OUT | LATE,
    ),
    "healed: a heal in an outage is joined": (
        story(dip(10.5, 16), [*FAULT, *HEAL, LOAD_END]),
        {"recovery": "healed"},
        LONG,
    ),
    "a fault and a heal at once are a fault": (
        story(dip(10.5, 16), [*FAULT, *HEAL, ("fault_begin", 13), ("fault_end", 14), LOAD_END]),
        {},
        LONG,
    ),
    "a heal that blips": (
        story(dip(14.5, 16), [*FAULT, ("heal_begin", 14), ("heal_end", 22), LOAD_END]),
        {},
        CALM
        | {"rto_actual_s": 2.0, "detection_s": 4.5, "first_success_s": 6.0, "outages": [[14, 16]]}
        | {"acknowledged": 37, "failed": 3},
    ),
    # the episode from 10 is restored at 10.0, but at 16.5 the outage from 15 is longer than its gap: joined, 18 - 10
    "restored, but in a long outage when the next begins": (
        story(
            dip(15.5, 18, 24),
            [*FAULT, ("fault_begin", 16.5), ("fault_end", 17), ("load_end", 24)],
            final_at=26,
        ),
        LOOSE,
        CALM
        | {"rto_actual_s": 8.0, "detection_s": 5.5, "first_success_s": 8.0, "outages": [[15, 18]]}
        | {"attempted": 48, "acknowledged": 43, "failed": 5},
    ),
    # acks 10.0 and 11.0 are exactly the gap apart
    "a span as long as the gap is no outage": (
        story(dip(10.5, 11)),
        {},
        CALM | {"rto_actual_s": 1.0, "detection_s": 0.5, "acknowledged": 39, "failed": 1},
    ),
    "a bad operation at a window's end is not in it": (
        story(dip(12, 12.5)),
        {},
        CALM | {"detection_s": 2.0, "acknowledged": 39, "failed": 1},
    ),
    # bad at 12, 13, 14, 15: one run of 3 s; every window has 2 good writes, not low
    "a long run of bad operations": (
        story(ops(0, 12) + ops(12.5, 16, 1) + fails(12, 16, 1) + ops(16, 20)),
        LOOSE,
        CALM | {"rto_actual_s": 5.5, "detection_s": 2.0, "acknowledged": 36, "failed": 4},
    ),
    "bad operations twice slow_s apart are no run": (
        story([op | {"outcome": "failed"} if op["invoked_s"] in (12, 14, 16) else op for op in LOAD]),
        LOOSE,
        CALM | {"detection_s": 2.0, "acknowledged": 37, "failed": 3},
    ),
    # bad at 18, 19 and, at the end of load itself, 20: a run of exactly 2 s, so nothing is restored
    "a run of bad operations up to the end of load": (
        story([op | {"outcome": "failed"} if op["invoked_s"] in (18, 19, 20) else op for op in ops(0, 20.5)]),
        LOOSE,
        NEVER_BACK | {"detection_s": 8.0, "outages": [], "attempted": 41, "acknowledged": 38, "failed": 3},
    ),
    # bad at 14, 15, 16: reading [w, end] as closed, the episode to 16 is not restored and joined; the next clean
    # window starts at 16.5
    "a run of bad operations up to the next begin": (
        story(
            [op | {"outcome": "failed"} if op["invoked_s"] in (14, 15, 16) else op for op in LOAD],
            [*FAULT, ("fault_begin", 16), ("fault_end", 16), LOAD_END],
        ),
        LOOSE,
        CALM | {"rto_actual_s": 6.5, "detection_s": 4.0, "acknowledged": 37, "failed": 3},
    ),
    # the last ack is at 18.5, the last invocation at 19.5
    "invoked for exactly the gap after the last ack": (
        story(dip(19, 20)),
        LOOSE,
        CALM | {"detection_s": 9.0, "acknowledged": 38, "failed": 2},
    ),
    "outages that touch are one": (
        story(ops(0, 10.5) + fails(10.5, 11.5) + ops(11.5, 12) + fails(12, 13) + ops(13, 20)),
        {},
        CALM
        | {"rto_actual_s": 3.0, "detection_s": 0.5, "first_success_s": 3.0, "outages": [[10, 13]]}
        | {"acknowledged": 36, "failed": 4},
    ),
    "a bad operation at t_f": (
        story(dip(10, 11)),
        {},
        CALM
        | {"rto_actual_s": 1.0, "detection_s": 0.0, "first_success_s": 1.0, "outages": [[9.5, 11]]}
        | {"acknowledged": 38, "failed": 2},
    ),
    # low below 0.75 x 2 x 2 - 1 = 2, and 2 is not below
    "exactly enough is not low": (
        story(dip(14, 15)),
        {"recovered_ratio": 0.75},
        CALM | {"detection_s": 4.0, "first_success_s": 5.0, "outages": [[13.5, 15]], "acknowledged": 38, "failed": 2},
    ),
    "a window may end at the end of load": (
        story(dip(10.5, 18)),
        {},
        CALM
        | {"rto_actual_s": 8.0, "detection_s": 0.5, "first_success_s": 8.0, "outages": [[10, 18]]}
        | {"acknowledged": 25, "failed": 15},
    ),
    # 19 of each in [6, 10), the 20th at 10.0: pooled, 9.5 a second, low below 16.1; from 13.4 there are 10 + 7
    "19 operations in the baseline are pooled": (
        story(
            ops(0, 6, 0.2, stream="a")
            + ops(6.2, 20, 0.2, stream="a")
            + ops(0, 6, 0.2, stream="b")
            + ops(6.2, 12, 0.2, stream="b")
            + ops(14, 20, 0.2, stream="b")
        ),
        {},
        CALM | {"rto_actual_s": 3.4, "resolution_s": 2.0, "baseline_per_s": 9.5, "attempted": 188, "acknowledged": 188},
    ),
    "an early bad operation cuts the baseline": (
        story(dip(8.5, 9)),
        {},
        CALM | NO_RECOVERY | {"acknowledged": 39, "failed": 1},
    ),
    # [8, 10) is exactly 2 s and has 3 good writes
    "a baseline as long as stable_s": (
        story(dip(8, 8.5)),
        {},
        CALM | {"baseline_per_s": 1.5, "acknowledged": 39, "failed": 1},
    ),
    # 7 in 4 s, and acks 8.5 and 9.5 double the gap
    "a bad operation within slow_s of t_f belongs to the fault": (
        story(dip(9, 9.5)),
        {},
        CALM | {"baseline_per_s": 1.75, "resolution_s": 2.0, "acknowledged": 39, "failed": 1},
    ),
    "first ack after the fault": (
        story(ops(12, 20)),
        {},
        CALM | NO_RECOVERY | {"rpo_verdict": "unknown", "rpo_actual_s": None, "attempted": 16, "acknowledged": 16},
    ),
    "load ends too soon": (
        story(ops(0, 13), [*FAULT, ("load_end", 13)]),
        {},
        CALM | OPEN | {"attempted": 26, "acknowledged": 26},
    ),
    "watched exactly long enough": (
        story(ops(0, 14), [*FAULT, ("load_end", 14)]),
        {},
        CALM | {"attempted": 28, "acknowledged": 28},
    ),
    "fault at the end of load": (
        story(LOAD, [("fault_begin", 20), ("fault_end", 20), LOAD_END]),
        {},
        CALM | OPEN | {"rto_actual_s": None, "rto_censored": None},
    ),
    "no fault": (story(LOAD, [LOAD_END]), {}, CALM | NO_RECOVERY | UNMET | {"rpo_actual_s": None}),
    "missing fault_end": (story(LOAD, [FAULT[0], LOAD_END]), {}, CALM | UNMET),
    "one fault_end for two faults": (story(LOAD, [*FAULT, ("fault_begin", 10), LOAD_END]), {}, CALM | UNMET),
    "missing end": (story(LOAD, ended=False), {}, CALM | UNMET),
    "missing end can be missed": (
        story(dip(10.5, 13.5), ended=False),
        {"rto_s": 3},
        OUTAGE | LATE | {"rpo_verdict": "unknown"},
    ),
}

STUCK = story(LOAD + seen(0.25, 11.25) + empty(11.25, 17.25) + seen(17.25, 20.25))
NEVER_SEEN = story(LOAD + seen(0.25, 11.25) + empty(11.25, 20.25))
FRESH = {"fresh_judged": True}
PAUSE = LOAD + seen(0.25, 11.25)

FRESHNESS_CASES: dict[str, tuple[list[Json], Json, Json]] = {
    "fresh": (story(LOAD + seen(0.25, 20.25)), FRESH, CALM | {"freshness_s": 0.0}),
    # the write of 11.0 is older than 5 s from 16.0 until the poll of 17.25
    "stale for a while": (STUCK, {}, CALM | {"freshness_s": 7.25}),
    "stale for a while, resolution past the objective": (
        STUCK,
        FRESH | {"rto_s": 8},
        CALM | OPEN | {"freshness_s": 7.25},
    ),
    "stale for too long": (STUCK, FRESH | {"rto_s": 7}, CALM | LATE | {"freshness_s": 7.25}),
    "stale to the end": (NEVER_SEEN, FRESH | {"rto_s": 10}, CALM | OPEN),
    "stale to the end, past the objective": (NEVER_SEEN, FRESH | {"rto_s": 9}, CALM | LATE),
    # the write of 15.0 is exactly 5 s old at 20
    "age of exactly fresh_s": (
        story(LOAD + seen(0.25, 15.25) + empty(15.25, 20.25)),
        FRESH,
        CALM | {"freshness_s": 0.0},
    ),
    "seen at the very end": (
        story(PAUSE + empty(11.25, 19.75) + [poll | {"seq": 39} for poll in empty(20, 20.5)]),
        {},
        CALM | {"freshness_s": 10.0},
    ),
    # nothing is acknowledged from 14.0 to 20.0, and at 20.0 the write of 14.5 is already 5.5 s old
    "acknowledged and stale at the very end": (
        story(ops(0, 14.5) + ops(14.5, 20, at=20) + seen(0.25, 14.25) + empty(14.25, 20.25)),
        {},
        NEVER_BACK | {"detection_s": 4.5, "first_success_s": 10.0, "outages": [[14, 20]], "acknowledged": 40},
    ),
    "silence that only touches fault and end of load": (
        story(LOAD + seen(0.25, 4.25) + seen(10, 10.5) + seen(10.25, 20.25) + seen(20, 20.5) + empty(26, 26.5)),
        {},
        CALM | {"freshness_s": 0.0},
    ),
    "a reader silent for 5.5 s": (story(PAUSE + seen(16.25, 20.25)), FRESH, CALM | OPEN),
    "a reader silent for exactly fresh_s": (story(PAUSE + seen(15.75, 20.25)), FRESH, CALM | {"freshness_s": 0.0}),
    "a long poll is not silence": (
        story(PAUSE + empty(11.25, 11.75, lag=5) + seen(16.75, 20.25)),
        FRESH,
        # the write of 11.0 turns older than 5 s at 16.0, the poll of 16.75 sees it
        CALM | {"freshness_s": 6.75},
    ),
    "no reader": (story(LOAD), FRESH, CALM | OPEN),
    "registers have no freshness": (registers(READING, {"a": [19], "b": [19]}), FRESH, REGISTER | OPEN),
}

UNSURE = story(
    ops(0, 10.5) + fails(10.5, 11) + ops(11, 11.5, outcome="unknown") + ops(11.5, 20),
    None,
    {"0": [*range(21), 22, 21, 23, 25, 24, *range(26, 40), 30, 30, 99, 99, None, None]},
)
TWO = ops(0, 20) + ops(0, 20, stream="1")
TAIL_GONE = [*range(16), *range(20, 40)]  # 16 to 19 were acknowledged at 8.0 to 9.5
PARTIAL = CALM | DOUBT | {"rpo_actual_s": None, "attempted": 80, "acknowledged": 80, "lost": 4, "baseline_per_s": 4.0}
NO_READS = [poll | ({"outcome": "failed"} if 10 < poll["invoked_s"] < 13 else {}) for poll in READING]
OVERLAP = ops(0, 9, stream="a") + ops(9, 9.5, stream="a", lag=0.5) + ops(9.5, 10, stream="a")
MAYBE = ops(0, 9, stream="a") + ops(9, 9.5, stream="a", outcome="unknown", completed_s=9.1) + ops(9.5, 10, stream="a")
ODD_READS: list[Json] = [
    {
        "kind": "read",
        "stream": "a",
        "seq": 9,
        "invoked_s": 5.3,
        "completed_s": 5.3,
        "outcome": "ok",
    },  # 10 was acked at 5.0
    {"kind": "read", "stream": "a", "seq": None, "invoked_s": 5.3, "completed_s": 5.3, "outcome": "ok"},
    {"kind": "read", "stream": "a", "seq": 0, "invoked_s": 5.3, "completed_s": 5.3, "outcome": "failed"},
    {"kind": "read", "stream": "a", "seq": 5, "invoked_s": 3.0, "completed_s": 3.0, "outcome": "ok"},  # 6 only at 3.0
]

LOSS_CASES: dict[str, tuple[list[Json], Json, Json]] = {
    "missing final": (story(LOAD, None, {}), {}, CALM | NO_COUNTS),
    "everything lost": (story(LOAD, None, {"0": []}), {}, CALM | LOSING | {"rpo_actual_s": 19.5, "lost": 40}),
    "everything lost is a lower bound": (
        story(LOAD, None, {"0": []}),
        {"rpo_s": 100},
        CALM | DOUBT | {"rpo_actual_s": 19.5, "lost": 40},
    ),
    "nothing acknowledged": (
        story(fails(0, 20)),
        {},
        CALM | NO_RECOVERY | DOUBT | {"rpo_actual_s": None, "acknowledged": 0, "failed": 40},
    ),
    "the tail before the fault lost": (
        story(LOAD, None, {"0": TAIL_GONE}),
        {"max_lost": 4},
        CALM | {"rpo_actual_s": 2.0, "lost": 4},
    ),
    "more lost than allowed": (
        story(LOAD, None, {"0": TAIL_GONE}),
        {"max_lost": 3},
        CALM | LOSING | {"rpo_actual_s": 2.0, "lost": 4},
    ),
    "left-censored": (
        story(LOAD, None, {"0": ALL[4:]}),
        {"rpo_s": 10},
        CALM | DOUBT | {"rpo_actual_s": 10.0, "lost": 4},
    ),
    "split-brain acknowledgements": (
        story(LOAD, None, {"0": ALL[:22] + ALL[25:]}),
        {"rpo_s": 1},
        CALM | {"rpo_actual_s": 1.0, "lost": 3},
    ),
    "an RPO of 0 allows no loss": (
        story(LOAD, None, {"0": ALL[:24] + ALL[25:]}),
        {"rpo_s": 0},
        CALM | LOSING | {"rpo_actual_s": 0.0, "lost": 1},
    ),
    # 21 and 24 come late; 30 twice more; 99 was never attempted; two are damaged; acks 10.0 and 11.5 are an outage
    "recovered, reordered, duplicated, unexpected": (
        UNSURE,
        {"max_lost": 0},
        CALM
        | {"rto_actual_s": 1.5, "detection_s": 0.5, "first_success_s": 1.5, "outages": [[10, 11.5]]}
        | {"acknowledged": 38, "failed": 1, "unknown": 1}
        | {"recovered": 2, "unexpected": 3, "duplicated": 2, "reordered": 2},
    ),
    "loss without a fault": (
        story(LOAD, [LOAD_END], {"0": TAIL_GONE}),
        {"max_lost": 3},
        CALM | NO_RECOVERY | LOSING | {"rpo_actual_s": None, "lost": 4},
    ),
    "final before drained": (story(LOAD, [*FAULT, LOAD_END, ("drained", 22.1)]), {}, CALM | NO_COUNTS),
    "final at drained": (story(LOAD, [*FAULT, LOAD_END, ("drained", 22)]), {}, CALM),
    # the last write is acknowledged at 22.5: also bad, and an outage since 19.0
    "final before a completion": (
        story(ops(0, 19.5) + ops(19.5, 20, lag=3)),
        {},
        CALM | NO_COUNTS | {"detection_s": 9.5, "first_success_s": 12.5, "outages": [[19, 22.5]]},
    ),
    "heal without its end": (story(LOAD, [*FAULT, HEAL[0], LOAD_END]), {}, CALM | NO_COUNTS),
    "one stream without final": (story(TWO, None, {"0": TAIL_GONE}), {}, PARTIAL),
    "one stream without final, lost too much": (
        story(TWO, None, {"0": TAIL_GONE}),
        {"rpo_s": 1.9},
        PARTIAL | LOSING,
    ),
    "registers": (registers(READING, {"a": [19], "b": [19]}), {}, REGISTER),
    # reads fail at 10.25 to 12.75; the window from the write's ack at 13.0 still overlaps the outage
    "registers: reads count into RTO": (
        registers(NO_READS, {"a": [19], "b": [19]}),
        {},
        REGISTER | {"rto_actual_s": 3.25, "detection_s": 0.25, "first_success_s": 3.25, "outages": [[9.75, 13.25]]},
    ),
    "registers: older survivor": (
        registers(READING, {"a": [15], "b": [19]}),
        {},
        REGISTER | {"rpo_actual_s": 2.0, "lost": 4},
    ),
    "registers: no survivor": (
        registers(READING, {"a": [], "b": [19]}),
        {"rpo_s": 10},
        REGISTER | DOUBT | {"rpo_actual_s": 10.0, "lost": 20},
    ),
    # 18 completed at 9.5, when 19 was invoked; acks 8.5 and 9.5 in the baseline make the gap of writes 2
    "registers: overlapping writes": (
        registers(READING, {"a": [18], "b": [19]}, OVERLAP),
        {},
        REGISTER | DOUBT | {"resolution_s": 2.0},
    ),
    "registers: an unknown survivor": (
        registers(READING, {"a": [18], "b": [19]}, MAYBE),
        {},
        REGISTER
        | DOUBT
        | {"resolution_s": 2.0, "baseline_per_s": 3.75, "acknowledged": 39, "unknown": 1, "recovered": 1},
    ),
    "registers: nothing found": (
        registers(READING, {"a": [], "b": []}),
        {"rpo_s": 100},
        REGISTER | DOUBT | {"rpo_actual_s": 19.5, "lost": 40},
    ),
    # writes 0 and 1 are both acknowledged at 0.5: 1 is not before 0
    "an ack at the same instant is not before": (
        story(ops(0, 0.5, lag=0.5) + ops(0.5, 20), None, {"0": ALL[1:]}),
        {"rpo_s": 10},
        CALM | DOUBT | {"rpo_actual_s": 9.5, "lost": 1},
    ),
    # stream 0 begins at 12 and is lost whole; the surviving acks of stream 1 before 12 do not bound it
    "a lower bound is a stream's own": (
        story(ops(12, 20) + ops(0, 20, stream="1"), None, {"0": [], "1": ALL}),
        {"rpo_s": 10},
        CALM | DOUBT | {"rpo_actual_s": 7.5, "attempted": 56, "acknowledged": 56, "lost": 16},
    ),
    "registers: stale reads": (
        registers(READING + ODD_READS, {"a": [19, 19, 77, None], "b": [19]}),
        {},
        REGISTER | {"stale": 2, "duplicated": 1, "unexpected": 2},
    ),
}


@pytest.mark.parametrize(
    ("history", "options", "result"),
    [
        pytest.param(*case, id=name)
        for cases in (RECOVERY_CASES, FRESHNESS_CASES, LOSS_CASES)
        for name, case in cases.items()
    ],
)
def test_literal_histories(history: list[Json], options: Json, result: Json) -> None:
    assert judge(history, **(OPTIONS | options)) == result


def test_a_second_final_is_refused() -> None:
    history = story(LOAD)
    with pytest.raises(ValueError, match="final"):
        judge([*history, history[-2]], **OPTIONS)


def test_the_order_of_lines_does_not_matter() -> None:
    assert judge(story(dip(10.5, 13.5))[::-1], **OPTIONS) == OUTAGE


def test_edges_are_exact_with_decimal_times() -> None:
    """Acks at 0.1, 0.2, 0.3 ... are 0.1 apart, not 0.1 and a bit; the dip ends 0.2 (the gap) after 10.0."""
    history = story([op for op in ops(0, 20, 0.1) if op["invoked_s"] != 10.1])
    result = judge(history, **(OPTIONS | {"gap_s": 0.2}))
    assert (result["outages"], result["resolution_s"], result["rto_actual_s"]) == ([], 0.2, 0.0)


# ---- the simulator


def _features(result: Json, options: Json) -> list[str]:
    """What a result shows of the definitions: verdicts, and which figures are null, zero or more."""
    verdicts = [f"{name} {value}" for name, value in result.items() if name.endswith("verdict")]
    kinds = {
        name: "null" if value is None else "zero" if value in (0, []) else "more"
        for name, value in result.items()
        if not name.endswith("verdict") and name != "rto_censored"
    }
    left_open = bool(result["outages"]) and result["outages"][-1][1] is None
    judged = "fresh" if options["fresh_judged"] and result["freshness_s"] is not None else "not fresh"
    return [
        *verdicts,
        *(f"{n} {k}" for n, k in kinds.items()),
        f"censored {result['rto_censored']}",
        f"open {left_open}",
        judged,
    ]


RARE = {
    "open True": 0.01,
    "freshness_s more": 0.03,
    "freshness_s zero": 0.03,
    "fresh": 0.03,
    "acknowledged zero": 0.002,
}
FIGURES = ["rto_actual_s", "detection_s", "first_success_s", "freshness_s", "outages", "rpo_actual_s", "lost"]
FIGURES += ["recovered", "unexpected", "duplicated", "reordered", "stale", "unavailable_s"]


def _mix(total: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(total):
        options = simulator.parameters(seed)
        found.update(_features(judge(simulator.histories(seed), **options), options))
    return found


def test_the_simulators_mix_reaches_every_verdict_and_figure() -> None:
    """Each feature appears in at least 5 of 100 histories, those of `RARE` in fewer."""
    total = 300
    wanted = {f"{name} {kind}": 0.05 for name in FIGURES for kind in ("null", "zero", "more")}
    del wanted["first_success_s zero"]  # an outage that ends at t_f is not one after it
    verdicts = [*list(CALM)[:3], "unavailable_verdict"]
    wanted |= {f"{name} {word}": 0.05 for name in verdicts for word in ("met", "missed", "unknown")}
    wanted |= {f"censored {word}": 0.05 for word in (True, False, None)} | RARE
    found = _mix(total)
    assert {name: found[name] for name, floor in wanted.items() if found[name] < floor * total} == {}


def test_the_simulator_depends_on_its_seed_alone() -> None:
    assert simulator.histories(7) == simulator.histories(7) != simulator.histories(8)
    assert simulator.parameters(7) == simulator.parameters(7) != simulator.parameters(8)
