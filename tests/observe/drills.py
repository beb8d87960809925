"""Records of whole drills, written by hand: two streams, ten writes a second each, and marks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chaosdrills.core.history import NO_SEQ, NS, Outcome
from chaosdrills.core.judge import Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.plan import Plan
from chaosdrills.observe.record import RecordWriter
from chaosdrills.observe.slots import Kind

PARAMETERS = Parameters(stable_s=2, baseline_s=5, watch_s=5)
LIMITS = Limits(rto_s=600, rpo_s=900, max_lost=0)
FAULT = (("fault_begin", 10.0), ("fault_end", 10.2))
WHOLE = (*FAULT, ("load_end", 30.0), ("drained", 30.1))


def write_record(
    path: Path,
    until_s: float = 30,
    outage: tuple[float, float] = (0, 0),
    marks: Sequence[tuple[str, float]] = WHOLE,
    lost: int = 0,
    whole: bool = True,
    unseen: tuple[float, float] | None = None,
    attempts: Sequence[float] | None = None,
) -> None:
    """Write one: nothing is acknowledged in `outage`, what was due in it is at its end.

    `whole`: with a read-back, which lacks the `lost` last writes of the first stream, and an end. `unseen`: with the
    endpoint "app", polled ten times a second, which answers badly in that span. `attempts`: with the count "healer" of
    attempts at these instants, sampled twenty times a second.
    """
    writer = RecordWriter.create(
        path, service="kafka", stream_kind="log", started_at="2026-11-23T08:00:00Z", origin_ns=0, extra={}
    )
    for stream in (writer.stream("a"), writer.stream("b")):
        for seq in range(int(until_s * 10)):
            at_s = seq / 10
            done_s = outage[1] if outage[0] <= at_s < outage[1] else at_s + 0.005
            writer.writes(stream, seq, round(at_s * NS), round(done_s * NS), int(Outcome.OK))
    if unseen is not None:
        due = np.arange(int(until_s * 10)) * NS // 10
        bad = (due >= unseen[0] * NS) & (due < unseen[1] * NS)
        columns = [np.full(len(due), writer.poll_stream("app")), np.full(len(due), NO_SEQ), due, due + NS // 200, bad]
        writer.many(Kind.POLL, np.array(columns, np.int64).T)
    if attempts is not None:
        due = np.arange(int(until_s * 20) + 1) * NS // 20
        count = [sum(made * NS <= at for made in attempts) for at in due]
        columns = [np.full(len(due), writer.sample_stream("healer")), count, due, due + NS // 1000, np.zeros(len(due))]
        writer.many(Kind.SAMPLE, np.array(columns, np.int64).T)
    for name, at_s in marks:
        writer.mark(name, round(at_s * NS), "kill nothing" if name.startswith("fault") else "")
    if whole:
        for stream in (0, 1):
            writer.final(stream, round((until_s + 1) * NS), np.arange(int(until_s * 10) - (0 if stream else lost)))
        writer.end(round((until_s + 2) * NS))
    writer.close()


def over(folder: Path, limits: Limits = LIMITS) -> ObservedDrill:
    """A drill of `folder`, whose load has ended."""
    plan = Plan("kafka", "no:Workload", limits=limits, parameters=PARAMETERS)
    return ObservedDrill("d1", "Nothing is lost", folder, plan)
