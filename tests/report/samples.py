"""Synthetic drills: histories made with numpy, judged by the real judge, and the summaries that go with them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chaosdrills.core.history import NO_SEQ, NO_TIME, Final, History, Mark, Operations, Outcome, by_stream, to_ns
from chaosdrills.core.judge import Judgement, Limits, judge
from chaosdrills.core.parameters import Parameters

FAULT_S = 20.0
LIMITS = Limits(rto_s=600, rpo_s=900, max_lost=0, fresh=True)


@dataclass(frozen=True)
class Drill:
    """What a renderer is given."""

    summary: dict[str, Any]
    recovery: dict[str, Any]
    history: History

    def arguments(self) -> tuple[dict[str, Any], dict[str, Any], History]:
        """In the order that the renderers take them."""
        return self.summary, self.recovery, self.history

    def saying(self, **changes: Any) -> "Drill":
        """The same with other entries in its summary."""
        return replace(self, summary={**self.summary, **changes})


def load(
    rate: int = 200, length_s: float = 60.0, partitions: int = 12, stalled: int = 4, outage_s: float = 9.2
) -> Operations:
    """Writes at a steady rate; the first `stalled` partitions answer nothing for `outage_s` from the fault on.

    Of what was due in the outage the first second is unknown; the rest is acknowledged, late, when it ends.
    """
    noise = np.random.default_rng(7)
    count = int(rate * length_s)
    number = np.arange(count)
    invoked = (number * (1e9 / rate)).astype(np.int64)
    completed = invoked + (noise.lognormal(1.3, 0.45, count) * 1e6).astype(np.int64)
    outcome = np.zeros(count, dtype=np.uint8)
    fault = to_ns(FAULT_S)
    out = (number % partitions < stalled) & (completed >= fault) & (invoked < fault + to_ns(outage_s))
    completed[out] = fault + to_ns(outage_s) + noise.integers(0, to_ns(0.15), int(out.sum()))
    unknown = out & (invoked < fault + to_ns(min(outage_s, 1.0)))
    outcome[unknown] = Outcome.UNKNOWN
    completed[unknown] = NO_TIME
    return Operations((number % partitions).astype(np.int32), number // partitions, invoked, completed, outcome)


def readers(writes: Operations, partitions: int, length_s: float) -> Operations:
    """A reader that sees each acknowledged write 6 ms later, and polls each partition twice a second besides."""
    acked = writes.select(writes.outcome == Outcome.OK)
    polled_at = np.repeat(np.arange(0, to_ns(length_s), to_ns(0.5)), partitions)
    empty = len(polled_at)
    return Operations(
        np.concatenate([acked.stream, np.tile(np.arange(partitions, dtype=np.int32), empty // partitions)]),
        np.concatenate([acked.seq, np.full(empty, NO_SEQ)]),
        np.concatenate([acked.completed_ns, polled_at]),
        np.concatenate([acked.completed_ns + 6_000_000, polled_at + 1_000_000]),
        np.zeros(len(acked) + empty, dtype=np.uint8),
    )


def marks(length_s: float, *others: Mark) -> tuple[Mark, ...]:
    """A fault at 20 s, a heal, the end of load, drained."""
    return (
        Mark("fault_begin", to_ns(FAULT_S), "kill broker 1, leader of partition 0"),
        Mark("fault_end", to_ns(FAULT_S + 0.03), "kill broker 1, leader of partition 0"),
        *others,
        Mark("heal_begin", to_ns(FAULT_S + 20), "start broker 1"),
        Mark("heal_end", to_ns(FAULT_S + 24.6), "start broker 1"),
        Mark("load_end", to_ns(length_s)),
        Mark("drained", to_ns(length_s + 0.2)),
    )


def history(
    writes: Operations, length_s: float = 60.0, partitions: int = 12, lost: int = 0, ended: bool = True, **changes: Any
) -> History:
    """A whole record around `writes`, its read-backs without the last `lost` acknowledged before the fault."""
    before = np.flatnonzero((writes.outcome == Outcome.OK) & (writes.completed_ns < to_ns(FAULT_S)))
    kept = np.ones(len(writes), dtype=np.bool_)
    kept[before[len(before) - lost :]] = False
    found = by_stream(writes.select(kept & (writes.outcome == Outcome.OK)))
    finals = {stream: Final(to_ns(length_s + 3), survivors.seq) for stream, survivors in found.items()}
    made = History(
        "kafka",
        "log",
        "2026-11-23T08:00:00Z",
        tuple(str(number) for number in range(partitions)),
        writes,
        readers(writes, partitions, length_s),
        marks(length_s),
        finals,
        to_ns(length_s + 4) if ended else None,
    )
    return replace(made, **changes)


def drill(
    record: History, title: str = "Kafka: the leader of a partition is killed", limits: Limits = LIMITS, **changes: Any
) -> Drill:
    """`record` judged against `limits`, Kafka's objectives."""
    judged = judge(record, limits, Parameters())
    figures = judged.as_dict()
    summary = {
        "drill_id": "20261123T080000Z-kafka-broker-loss",
        "title": title,
        "started_at": "2026-11-23T08:00:00Z",
        "service": "kafka",
        "kind": "broker loss",
        "verdict": judged.overall.verdict,
        "objectives": objectives(judged, figures),
        "phases": PHASES,
        "checks": CHECKS,
        "loss": {**figures, "window_s": window(judged)},
        "evidence": ["record", "journal.json", "summary.json", "logs/broker-1.log"],
        "parameters": figures["parameters"],
        "versions": {"chaosdrills": "0.1.0", "chaostoolkit": "1.44.0", "kafka": "4.3.1", "confluent-kafka": "2.16.1"},
        "environment": {
            "brokers": 3,
            "replication_factor": 3,
            "min_insync_replicas": 2,
            "acks": "all",
            "idempotence": True,
        },
    }
    return Drill({**summary, **changes}, figures, record)


PHASES = [
    {"name": "warm up and baseline", "begin": 0.0, "end": 19.8},
    {"name": "fault", "begin": 20.0, "end": 20.03},
    {"name": "wait for recovery", "begin": 20.03, "end": 35.1},
    {"name": "heal", "begin": 40.0, "end": 44.6},
    {"name": "wait until whole", "begin": 44.6, "end": 48.9},
    {"name": "drain and read back", "begin": 60.0, "end": 63.0},
]
CHECKS = [
    {"name": "all_brokers_registered", "ok": True, "detail": "3 of 3"},
    {"name": "no_under_replicated_partition", "ok": True, "detail": "0 of 12"},
    {"name": "preferred_leaders", "ok": None, "detail": "not asked: the admin client did not answer within 5 s"},
]


def window(judged: Judgement) -> list[float] | None:
    """The loss window in seconds."""
    return [at / 1e9 for at in judged.loss.window_ns] if judged.loss.window_ns else None


def objectives(judged: Judgement, figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The objectives of a summary, as the control writes them."""
    actuals = {
        "rto": ("s", figures["rto_actual_s"], judged.rto_judged_s),
        "freshness": ("s", figures["freshness_s"], figures["freshness_s"]),
        "rpo": ("s", figures["rpo_actual_s"], figures["rpo_actual_s"]),
        "max_lost": ("records", figures["lost"], figures["lost"]),
        "max_unavailable_s": ("s", figures.get("unavailable_s"), judged.unavailable_judged_s),
        "max_attempts": ("attempts", figures.get("restart_attempts"), figures.get("restart_judged")),
        "max_attempts_per_min": (
            "attempts",
            figures.get("restart_worst_per_min"),
            figures.get("restart_worst_judged"),
        ),
    }
    limits = {"rto": 600, "freshness": 600, "rpo": 900, "max_lost": 0}
    for name in ("max_unavailable_s", "max_attempts", "max_attempts_per_min"):
        limits[name] = getattr(judged.limits, name) or 0
    return [
        {
            "name": name,
            "limit": limits[name],
            "actual": actuals[name][1],
            "judged": actuals[name][2],
            "unit": actuals[name][0],
            "verdict": finding.verdict,
            "why": "; ".join(finding.why),
        }
        for name, finding in judged.findings.items()
    ]


def broker_loss() -> Drill:
    """Met: 4 of 12 partitions silent for 9.2 s."""
    return drill(history(load()))


def unsafe_acks() -> Drill:
    """Missed: 53 acknowledged records gone."""
    record = history(load(stalled=12, outage_s=6.1), lost=53)
    made = drill(record, "Kafka: the leader is killed under acks=1")
    return made.saying(environment={**made.summary["environment"], "acks": "1", "min_insync_replicas": 1})


def never_back() -> Drill:
    """Unknown: nothing came back while it was watched, and the observer died before the read-back."""
    writes = load(stalled=12, outage_s=31.2)
    writes = writes.select(writes.invoked_ns < to_ns(FAULT_S + 31.2))
    silent = writes.invoked_ns >= to_ns(FAULT_S)
    writes.outcome[silent] = Outcome.UNKNOWN
    writes.completed_ns[silent] = NO_TIME
    record = history(writes, 51.2, ended=False, finals={}, warnings=("the last 17 bytes of the record are torn",))
    return drill(replace(record, marks=record.marks[:2]))


def no_dip() -> Drill:
    """Met: nothing was noticed."""
    return drill(history(load(stalled=0)), "Kafka: a follower is killed")


def long_run(count: int = 1_000_000, rate: int = 200) -> Drill:
    """A million operations: 83 minutes at 200/s, the fault after 20 s."""
    length_s = count / rate
    return drill(history(load(rate, length_s), length_s))


def flapping() -> Drill:
    """Missed or not, hard to draw: six faults and heals close together, each with an outage of its own."""
    writes = load(stalled=0)
    pairs = [(20 + 2.5 * turn, 20 + 2.5 * turn + 1.1) for turn in range(6)]
    kept = np.ones(len(writes), dtype=np.bool_)
    shown = []
    for turn, (begin, end) in enumerate(pairs):
        kept &= ~((writes.invoked_ns >= to_ns(begin)) & (writes.invoked_ns < to_ns(end)))
        names = (("fault_begin", 0.0), ("fault_end", 0.02), ("heal_begin", 0.9), ("heal_end", 1.0))
        shown += [Mark(name, to_ns(begin + after), f"broker {turn % 3}") for name, after in names]
    record = history(writes.select(kept))
    return drill(replace(record, marks=(*shown, Mark("load_end", to_ns(60)))), "Kafka: brokers come and go")


def hostile() -> Drill:
    """Text that tries to be markup, to hide, to overflow, or to name this machine."""
    evil = '<script>alert("x")</script>'
    record = history(load())
    labelled = tuple(
        replace(mark, label=f"{evil} | `a` \u202egnp.exe & /home/someone/secret/key") for mark in record.marks
    )
    made = drill(replace(record, marks=labelled, warnings=(evil,)), f"{evil} | title")
    first = {**made.summary["objectives"][0], "why": f"because | {evil}"}
    return made.saying(
        objectives=[first, *made.summary["objectives"][1:]],
        phases=[{"name": evil + "x" * 300, "begin": 0.0, "end": None}, {"name": "late", "begin": 1e6, "end": 2e6}],
        checks=[{"name": "a|b" + "c" * 200, "ok": False, "detail": f"read /var/lib/x/{evil}\n| second line"}],
        loss={**made.summary["loss"], "lost": 3, "examples": {"lost": [["<b>", 1], ["a|b", None]]}},
        evidence=["/tmp/private/record", "logs/<b>.log"],
        environment={"broker|<i>": "file:///srv/data/one", "list": [1, None, True], "nested": {"a_b": evil}},
        versions={"kafka": "\ud800 4.3.1\x00"},
        parameters={"slow_s": 1.0, "<u>": evil, "none": None},
    )


def polls(length_s: float = 60.0, rate: int = 20, *outs: tuple[int, float, float]) -> Operations:
    """Three endpoints, each bad in those of `outs` that name it: (stream, begin, end)."""
    due = (np.arange(int(length_s * rate)) * (1e9 / rate)).astype(np.int64)
    count = len(due)
    stream = np.repeat(np.arange(3, dtype=np.int32), count)
    outcome = np.zeros(3 * count, dtype=np.uint8)
    invoked = np.tile(due, 3)
    for number, begin, end in outs:
        outcome[(stream == number) & (invoked >= to_ns(begin)) & (invoked < to_ns(end))] = Outcome.FAILED
    return Operations(stream, np.full(3 * count, NO_SEQ), invoked, invoked + 2_000_000, outcome)


def polled(limit_s: float = 20) -> Drill:
    """Met: the service is out for 9.2 s, one endpoint for 12, one for twice a second, one not at all."""
    seen = polls(60, 20, (0, 20.5, 32.5), (1, 21, 22), (1, 40, 41))
    names = ("shop", "a name that is longer than its margin", "<b>|`x`\u202e")
    record = replace(history(load()), poll_streams=names, polls=seen)
    return drill(record, "Kafka, and what users saw", replace(LIMITS, max_unavailable_s=limit_s))


def watched(storm: bool = True) -> Drill:
    """Missed: a self-healer that tries five times a second; or met: one that backs off."""
    made = np.arange(20.5, 28, 0.2) if storm else np.array([21, 22, 24, 28])
    due = (np.arange(601) * (1e9 / 10)).astype(np.int64)
    count = np.searchsorted(made * 1e9, due, side="right")
    zeros = np.zeros(len(due), np.int64)
    looks = Operations(zeros.astype(np.int32), count, due, due + 2_000_000, zeros.astype(np.uint8))
    record = replace(history(load()), sample_streams=("<b>|`x`",), samples=looks)
    return drill(record, "Redis, and its self-healer", replace(LIMITS, max_attempts=10, max_attempts_per_min=10))


def polled_never() -> Drill:
    """Unknown: the one endpoint was never good, and the other was never polled."""
    seen = polls(60, 20, (0, 0, 60)).select(np.arange(1200))
    record = replace(history(load()), poll_streams=("shop", "nobody's"), polls=seen)
    return drill(record, "Kafka, and what users saw", replace(LIMITS, max_unavailable_s=20))


def without_fault() -> Drill:
    """Unknown: no mark but the end of load."""
    record = history(load(stalled=0))
    return drill(replace(record, marks=(Mark("load_end", to_ns(60)),)))


def without_operations() -> Drill:
    """Unknown: the observer recorded marks and nothing else."""
    nothing = Operations.of([])
    record = replace(history(load()), writes=nothing, reads=nothing, finals={})
    return drill(record)


def register() -> Drill:
    """A register (Redis keys), reads counted with the writes."""
    writes = load(stalled=12)
    record = history(writes)
    return drill(
        replace(record, service="redis", stream_kind="register"), "Redis: the primary is killed", service="redis"
    )


def nothing_measured() -> Drill:
    """A restore: its objectives and checks, no recovery and no loss figures, every figure null."""
    made = without_operations()
    bare = [{**entry, "actual": None, "judged": None, "verdict": "unknown"} for entry in made.summary["objectives"]]
    summary = {**made.summary, "kind": "restore", "objectives": bare, "verdict": "unknown", "loss": None, "phases": []}
    for name in ("environment", "parameters", "versions", "evidence", "checks", "started_at"):
        del summary[name]
    return Drill(summary, {}, replace(made.history, marks=()))
