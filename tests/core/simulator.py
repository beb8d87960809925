"""Random but realistic small histories, for comparing the judge with the oracle.

`histories(seed)` is one history (its objects, as parsed from JSON lines) and `parameters(seed)` the keyword arguments
to judge it with; both depend on the seed alone. A history is made in four steps: a *plan* (streams, rate, instants of
faults and heals), *troubles* (what goes wrong with which streams from when to when), operations, and the read-back.
About every third history lies on a coarse grid of time, where operations, acknowledgements, marks and edges of windows
often fall on the same instant. Polls of endpoints (`tests.core.polled`) come after all that, from a generator of their
own: without them a seed's history is what it was before there were polls.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.core.polled import polls

Json = dict[str, Any]
Result = tuple[str, float | None] | None  # outcome and completion; None if it is not even sent
Effect = Callable[[random.Random, "Plan", float, float], Result]
LONG_AFTER = 1e6


@dataclass
class Plan:
    """The shape of one history, times in seconds."""

    kind: str
    streams: list[str]
    every: float
    grid: float  # all times are multiples of it
    latency: float
    load_end: float
    faults: list[float]
    heals: list[float]
    troubles: list["Trouble"] = field(default_factory=list)

    def snap(self, seconds: float) -> float:
        return round(round(seconds / self.grid) * self.grid, 3)


@dataclass
class Trouble:
    """What befalls the operations of some streams that are invoked in [begin, end)."""

    effect: str  # stall, fail, unknown, slow, drop, mixed
    begin: float
    end: float
    share: float
    streams: set[str]


def histories(seed: int) -> list[Json]:
    """The objects of one history, its header first."""
    rng = random.Random(f"history {seed}")
    plan = _plan(rng)
    plan.troubles = list(_troubles(rng, plan))
    by_stream = {stream: list(_writes(rng, plan, stream)) for stream in plan.streams}
    if plan.kind == "register" and rng.random() < 0.7:
        by_stream = _retired(by_stream, rng.choice([1.0, 2.0, 4.0]))
    operations = []
    for stream, writes in by_stream.items():
        for seq, write in enumerate(writes):
            write.update(stream=stream, seq=seq)
        operations += writes + list(_reads(rng, plan, stream, writes))
    marks = list(_marks(rng, plan))
    finals = list(_finals(rng, plan, by_stream, marks, operations))
    lines = _ordered(rng, [*operations, *marks, *finals])
    header = {"kind": "header", "version": 1, "service": "sim", "stream_kind": plan.kind}
    header["started_at"] = "2026-11-23T08:00:00Z"
    end = max((float(line[key]) for line in lines for key in _TIMES if line.get(key) is not None), default=0.0) + 1
    died = rng.random() < 0.05
    lines = [header, *lines] if died else [header, *lines, {"kind": "end", "at_s": round(end, 3)}]
    return lines + polls(random.Random(f"polls {seed}"), plan.grid, plan.load_end, plan.faults)


_TIMES = ("invoked_s", "completed_s", "at_s")


def _ordered(rng: random.Random, lines: list[Json]) -> list[Json]:
    """By time, or stream by stream; the operations of a stream always in the order of their invocation."""
    if rng.random() < 0.3:
        return lines
    return sorted(lines, key=lambda line: float(line["invoked_s" if "invoked_s" in line else "at_s"]))


def _plan(rng: random.Random) -> Plan:
    kind = "log" if rng.random() < 0.65 else "register"
    count = rng.choice([1, 1, 2, 2, 3, 4, 6])
    grid = rng.choice([0.001, 0.001, 0.001, 0.05, 0.25, 0.5])
    rate = rng.choice([2, 3, 4, 5, 8, 10, 20, 40])
    while rate * count > 48:
        rate = max(2, rate // 2)
    slow_rate, brief = rate * count <= 12, rng.random() < 0.1
    load_end = rng.uniform(5, 12) if brief else rng.uniform(20, 60) if slow_rate else rng.uniform(14, 30)
    fault = load_end * rng.uniform(0.2, 0.6)
    plan = Plan(
        kind=kind,
        streams=[str(index) for index in range(count)],
        every=max(grid, 1 / rate),
        grid=grid,
        latency=rng.choice([0.0, 0.004, 0.004, 0.02, 0.02, 0.1, 0.2]),
        load_end=0,
        faults=[],
        heals=[],
    )
    plan.load_end = plan.snap(load_end)
    plan.faults = [plan.snap(fault)] if rng.random() < 0.97 else []
    if rng.random() < 0.25:
        plan.faults += [plan.snap(_between(rng, fault, load_end)) for _ in range(rng.choice([1, 1, 2]))]
    if rng.random() < 0.5:
        heals = [plan.snap(_between(rng, fault, load_end)) for _ in range(rng.choice([1, 1, 1, 2]))]
        plan.heals = heals if rng.random() < 0.95 else [plan.snap(fault - 1), *heals]
    if plan.faults and rng.random() < 0.05:
        plan.heals.append(rng.choice(plan.faults))
    return plan


def _between(rng: random.Random, fault: float, load_end: float) -> float:
    """A later begin: mostly well before the end of load, sometimes close to it or after it."""
    share = rng.uniform(0, 0.7) if rng.random() < 0.85 else rng.uniform(0.7, 1.1)
    return fault + share * (load_end - fault)


# ---- what goes wrong


def _troubles(rng: random.Random, plan: Plan) -> Iterator[Trouble]:
    """No dip, or one trouble or several that follow each begin; sometimes errors or noise without any fault."""
    everyone = set(plan.streams)
    if rng.random() < 0.05:
        yield Trouble("fail", 0, LONG_AFTER, rng.choice([0.02, 0.1]), everyone)
    if rng.random() < 0.01:
        yield Trouble(rng.choice(["fail", "unknown"]), 0, LONG_AFTER, 1.0, everyone)
    if rng.random() < 0.08:
        begin = rng.uniform(0, plan.load_end)
        yield Trouble(rng.choice(["stall", "fail"]), begin, begin + rng.uniform(0.1, 1), 1.0, everyone)
    if plan.faults and rng.random() < 0.08:
        edge = rng.choice([*plan.faults[1:], *plan.heals, plan.load_end])
        yield Trouble(
            "fail", edge - rng.choice([2, 3, 5]), edge + plan.every / 2, rng.choice([0.3, 0.5, 1.0]), everyone
        )
    for index, instant in enumerate(sorted({*plan.faults, *plan.heals})):
        if rng.random() < (0.8 if index == 0 else 0.4):
            yield from _after(rng, plan, instant)


def _after(rng: random.Random, plan: Plan, instant: float) -> Iterator[Trouble]:
    """Trouble from an instant on, or a little later; short and long, whole and partial, once and flapping."""
    left = plan.load_end - instant
    last = instant + left * rng.choice([0.5, 0.7, 1])
    begin = instant + rng.choice([0, 0, 0, rng.uniform(0, 1), rng.uniform(0, max(left / 2, 0))])
    effect = rng.choice(["stall", "stall", "fail", "unknown", "slow", "drop", "mixed"])
    whole = len(plan.streams) == 1 or rng.random() < 0.5
    streams = set(plan.streams) if whole else set(rng.sample(plan.streams, rng.choice([1, 1, len(plan.streams) - 1])))
    share = rng.choice([1.0, 1.0, 1.0, 0.7, 0.4, 0.2])
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        length = rng.choice(
            [rng.uniform(0, 2), rng.uniform(0, 4), rng.uniform(0, 6), rng.uniform(0, max(left, 1)), plan.every * 3]
        )
        end = LONG_AFTER if rng.random() < 0.05 else plan.snap(max(begin, min(begin + length, last)))
        yield Trouble(effect, plan.snap(begin), end, share, streams)
        begin = end + rng.choice([rng.uniform(0, 1), rng.uniform(1, 6), plan.every])


def _outcome(rng: random.Random, plan: Plan, stream: str, invoked: float) -> Result:
    """How one operation goes: by the first trouble that hits it, else acknowledged after the usual latency."""
    for trouble in plan.troubles:
        hit = trouble.begin <= invoked < trouble.end and stream in trouble.streams
        if hit and (trouble.share == 1 or rng.random() < trouble.share):
            effect = trouble.effect
            if effect == "mixed":
                effect = rng.choice(["fail", "unknown", "slow", "stall"])
            return EFFECTS[effect](rng, plan, invoked, trouble.end)
    return "ok", plan.snap(invoked + plan.latency * rng.choice([0.5, 1, 1, 2]))


def _stall(rng: random.Random, plan: Plan, invoked: float, end: float) -> tuple[str, float | None]:
    """Held back until the trouble is over: a late burst, all at once or one after the other."""
    return ("unknown", None) if end == LONG_AFTER else ("ok", plan.snap(end + rng.choice([0, 0, 0.1, rng.random()])))


def _fail(rng: random.Random, plan: Plan, invoked: float, end: float) -> tuple[str, float | None]:
    return "failed", plan.snap(invoked + rng.choice([0, plan.latency, 1.5]))


def _unknown(rng: random.Random, plan: Plan, invoked: float, end: float) -> tuple[str, float | None]:
    return "unknown", rng.choice([None, plan.snap(invoked + rng.uniform(0.1, 4))])


def _slow(rng: random.Random, plan: Plan, invoked: float, end: float) -> tuple[str, float | None]:
    return "ok", plan.snap(invoked + rng.choice([0.5, 1, 1, 1.001, 1.5, rng.uniform(0.3, 3)]))


def _drop(rng: random.Random, plan: Plan, invoked: float, end: float) -> None:
    return None


EFFECTS: dict[str, Effect] = {"stall": _stall, "fail": _fail, "unknown": _unknown, "slow": _slow, "drop": _drop}


# ---- operations


def _writes(rng: random.Random, plan: Plan, stream: str) -> Iterator[Json]:
    """An open loop at the plan's rate, to the end of load or (rarely) a little past it."""
    late = rng.random() < 0.08
    phase = plan.every * rng.choice([0, 0, rng.random()]) + (plan.load_end * rng.random() if late else 0)
    past = rng.choice([0, 0, 0, plan.every, 1])
    for index in range(int((plan.load_end + past - phase) / plan.every) + 1):
        invoked = plan.snap(phase + index * plan.every)
        result = _outcome(rng, plan, stream, invoked)
        if result is not None:
            outcome, completed = result
            yield {"kind": "write", "invoked_s": invoked, "completed_s": completed, "outcome": outcome}


def _retired(by_stream: dict[str, list[Json]], after_s: float) -> dict[str, list[Json]]:
    """A register workload retires each stream after a while: the same writes, on a new stream each time."""
    retired: dict[str, list[Json]] = {}
    for stream, writes in by_stream.items():
        for write in writes:
            retired.setdefault(f"{stream}-{int(write['invoked_s'] / after_s)}", []).append(write)
    return retired


def _reads(rng: random.Random, plan: Plan, stream: str, writes: list[Json]) -> Iterator[Json]:
    """Polls of one stream. Of a log: a reader that is good, lags, stalls, is silent or fails for a while, or is not
    there. Of a register: operations like writes, mostly of the newest acknowledged write, sometimes stale."""
    is_log = plan.kind == "log"
    if not writes or rng.random() < 0.08:
        return
    first, last = (0.0, plan.load_end) if is_log else (writes[0]["invoked_s"], writes[-1]["invoked_s"] + plan.every)
    every = max(plan.grid, rng.choice([0.25, 0.25, 0.5, 1, 2]) if is_log else plan.every * rng.choice([1, 1, 2]))
    lag = rng.choice([0, 0, 0.05, 0.5, 3]) if is_log else 0
    mode, begin, end = _moods(rng, plan) if rng.random() < (0.4 if is_log else 0.15) else ("good", 0.0, 0.0)
    acks = sorted((write["completed_s"], write["seq"]) for write in writes if write["outcome"] == "ok")
    first = first if is_log else plan.snap(-(-first // every) * every)
    newest, taken = -1, 0
    for index in range(int((last - first) / every) + is_log):
        invoked = plan.snap(first + index * every)
        moody = mode if begin <= invoked < end else "good"
        while moody in ("good", "fail") and taken < len(acks) and acks[taken][0] < max(invoked - lag, 0.001):
            newest, taken = max(newest, acks[taken][1]), taken + 1
        if moody != "silent":
            yield {"kind": "read", "stream": stream, **_poll(rng, plan, stream.split("-")[0], invoked, newest, moody)}


def _moods(rng: random.Random, plan: Plan) -> tuple[str, float, float]:
    """What ails a reader, from when to when."""
    begin = rng.choice([rng.uniform(0, plan.load_end), *plan.faults])
    length = rng.choice([rng.uniform(1, 8), rng.uniform(1, 8), rng.uniform(5, 20), plan.load_end])
    return (
        rng.choice(["stalled", "stalled", "stalled", "stale", "silent", "fail", "long"]),
        begin,
        plan.snap(begin + length),
    )


def _poll(rng: random.Random, plan: Plan, stream: str, invoked: float, newest: int, mood: str) -> Json:
    """One read: what it saw and when it was over."""
    seq = newest if newest >= 0 else None
    quick = plan.snap(invoked + plan.latency * rng.choice([0, 1]))
    result: tuple[str, float | None] = ("ok", quick)
    if plan.kind == "register":
        result = _outcome(rng, plan, stream, invoked) or ("ok", quick)
    if mood == "stalled" or (mood == "good" and plan.kind == "log" and rng.random() < 0.05):
        seq = None
    elif mood == "stale" and seq is not None:
        seq = max(0, seq - rng.choice([1, 2, 5]))
    elif mood == "fail":
        result = rng.choice([("failed", quick), ("unknown", None), ("unknown", plan.snap(invoked + 3))])
    elif mood == "long":
        result = ("ok", plan.snap(invoked + rng.uniform(2, 7)))
    outcome, completed = result
    return {"seq": seq if outcome == "ok" else None, "invoked_s": invoked, "completed_s": completed, "outcome": outcome}


# ---- marks and the read-back


def _mark(name: str, at_s: float) -> Json:
    return {"kind": "mark", "name": name, "at_s": round(at_s, 3), "label": "simulated"}


def _marks(rng: random.Random, plan: Plan) -> Iterator[Json]:
    for instant in plan.faults:
        yield _mark("fault_begin", instant)
        if rng.random() < 0.96:
            yield _mark("fault_end", instant + rng.choice([0, 0.02, 0.5, 3]))
    for instant in plan.heals:
        yield _mark("heal_begin", instant)
        if rng.random() < 0.95:
            yield _mark("heal_end", instant + rng.choice([0, 0.1, 1, 4]))
    if rng.random() < 0.85:
        yield _mark("load_end", plan.load_end)
        if rng.random() < 0.03:
            yield _mark("load_end", plan.load_end + 1)
    if rng.random() < 0.5:
        yield _mark("drained", plan.load_end + rng.choice([0.5, 3]))


def _finals(
    rng: random.Random, plan: Plan, by_stream: dict[str, list[Json]], marks: list[Json], operations: list[Json]
) -> Iterator[Json]:
    """The read-backs: at the earliest instant that counts, later, or too early; some or all missing."""
    ready = max(
        [mark["at_s"] for mark in marks]
        + [operation["completed_s"] for operation in operations if operation["completed_s"] is not None],
        default=0.0,
    )
    missing = rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 0, 0.3, 0.3, 1])
    damage = rng.choice(["none", "none", "none", "tail", "tail", "burst", "burst", "few", "entries", "entries", "all"])
    for stream, writes in by_stream.items():
        if rng.random() >= missing:
            early = rng.random() < 0.02
            at_s = ready * rng.uniform(0.6, 1) if early else ready + rng.choice([0, 0, 1])
            seqs = _read_back(rng, plan, writes, damage)
            yield {"kind": "final", "stream": stream, "at_s": round(at_s, 3), "seqs": seqs}
    if rng.random() < 0.02:
        yield {"kind": "final", "stream": "never written", "at_s": round(ready, 3), "seqs": [0, None]}


def _read_back(rng: random.Random, plan: Plan, writes: list[Json], damage: str) -> list[int | None]:
    """The entries found of one stream: its survivors, and what else the damage left."""
    survivors = [write for write in writes if _survives(rng, plan, write, damage)]
    if damage == "all" or (damage in ("tail", "burst") and rng.random() < 0.2):
        survivors = survivors if damage != "all" else []
    found: list[int | None] = [write["seq"] for write in survivors]
    if plan.kind == "register":
        found = found[-1:] if found and rng.random() < 0.98 else found[-2:] if rng.random() < 0.5 else []
    elif damage == "tail" and found and rng.random() < 0.5:
        found = found[: rng.randrange(len(found))]
    elif damage == "few" and found:
        del found[rng.randrange(len(found))]
    if damage == "entries":
        _scramble(rng, found, len(writes))
    return found


def _survives(rng: random.Random, plan: Plan, write: Json, damage: str) -> bool:
    if write["outcome"] != "ok":
        return rng.random() < (0.4 if write["outcome"] == "unknown" else 0.03)
    fault = plan.faults[0] if plan.faults else plan.load_end / 2
    near = fault - 1.5 <= write["completed_s"] <= fault + 0.5
    return not (damage == "burst" and near and rng.random() < 0.7)


def _scramble(rng: random.Random, found: list[int | None], attempted: int) -> None:
    """Duplicates, reorder, damaged and never attempted entries."""
    for _ in range(rng.choice([0, 1, 2])):
        if found:
            found.insert(rng.randrange(len(found) + 1), rng.choice(found))
    if len(found) > 2 and rng.random() < 0.5:
        index = rng.randrange(len(found) - 1)
        found[index], found[index + 1] = found[index + 1], found[index]
    if rng.random() < 0.4:
        found.insert(rng.randrange(len(found) + 1), None)
    for _ in range(rng.choice([0, 0, 1, 2])):
        found.append(attempted + rng.choice([0, 0, 7]))


# ---- how to judge


def parameters(seed: int) -> Json:
    """Random objectives and parameters: keyword arguments of the judge and of the oracle."""
    rng = random.Random(f"parameters {seed}")
    return {
        "rto_s": rng.choice([2, 4, 6.5, 10, 20, 60, 600, 600]),
        "rpo_s": rng.choice([0, 1, 3, 10, 60, 900, 900]),
        "max_lost": rng.choice([None, None, None, 0, 3]),
        "fresh_judged": rng.random() < 0.4,
        "stable_s": rng.choice([2, 2, 2.5, 3, 3, 4, 5, 8]),
        "recovered_ratio": rng.choice([0.5, 0.75, 0.8, 0.9, 0.95, 1]),
        "slow_s": rng.choice([0.2, 0.5, 0.5, 1, 1, 2]),
        "gap_s": rng.choice([0.1, 0.25, 0.5, 1, 2]),
        "baseline_s": rng.choice([4, 6, 10, 20]),
        "watch_s": rng.choice([0, 2, 5]),
        "fresh_s": rng.choice([0.5, 1, 2.5, 5]),
        "recovery": rng.choice(["self", "healed"]),
        "max_unavailable_s": random.Random(f"limit of polls {seed}").choice(
            [None, None, None, None, 1, 2, 6.5, 20, 60, 60]
        ),
    }
