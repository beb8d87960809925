"""The judge: a history and its objectives in, figures and verdicts out. Pure, so any record can be judged again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaosdrills.core.attempts import Attempts, attempts_of, worst_of
from chaosdrills.core.availability import Availability, availability_of
from chaosdrills.core.episodes import Begin, begins_of
from chaosdrills.core.freshness import Freshness, freshness_of
from chaosdrills.core.history import NS, History, Outcome, to_ns, to_s
from chaosdrills.core.intervals import FAR_NS
from chaosdrills.core.loss import Loss, loss_of
from chaosdrills.core.marks import all_ended
from chaosdrills.core.parameters import Parameters
from chaosdrills.core.recovery import Recovery, recovery_of
from chaosdrills.core.verdict import Finding, worst
from chaosdrills.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """The objectives to judge against; None: not judged by it.

    `rto_s`, `rpo_s` seconds; `max_lost` records (an RPO of 0 implies 0); `fresh`: data must be fresh within the RTO.
    `max_unavailable_s`: for how long users may not reach an endpoint that is polled. `max_attempts`: how often a
    self-healer may try to restart something, `max_attempts_per_min` within any minute.
    """

    rto_s: float | None = None
    rpo_s: float | None = None
    max_lost: int | None = None
    fresh: bool = False
    max_unavailable_s: float | None = None
    max_attempts: int | None = None
    max_attempts_per_min: int | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("RTO", self.rto_s),
            ("RPO", self.rpo_s),
            ("max_lost", self.max_lost),
            ("max_unavailable_s", self.max_unavailable_s),
            ("max_attempts", self.max_attempts),
            ("max_attempts_per_min", self.max_attempts_per_min),
        ):
            if value is not None and not 0 <= value < 1e9:
                raise UsageError(f"the {name} is {value}.", "give a number from 0 up, below a thousand million.")

    @property
    def most_lost(self) -> int | None:
        """The bound on lost records that is in force."""
        return 0 if self.rpo_s == 0 else self.max_lost


@dataclass(frozen=True)
class Judgement:
    """Everything that was found.

    `findings` by objective: rto, freshness, rpo, max_lost, max_unavailable_s, max_attempts, max_attempts_per_min (those
    that were given). `attempts` of each sample stream.
    """

    history: History
    parameters: Parameters
    limits: Limits
    recovery: Recovery
    freshness: Freshness
    loss: Loss
    availability: Availability
    attempts: tuple[Attempts, ...]
    findings: Mapping[str, Finding]

    @property
    def rto(self) -> Finding:
        """The worse of the sustained recovery and, where it is judged, freshness."""
        return worst(self.findings[name] for name in ("rto", "freshness") if name in self.findings)

    @property
    def rpo(self) -> Finding:
        """The worse of the loss as time and, where it is judged, as records."""
        return worst(self.findings[name] for name in ("rpo", "max_lost") if name in self.findings)

    @property
    def overall(self) -> Finding:
        """The drill's verdict."""
        return worst(self.findings.values())

    @property
    def rto_judged_s(self) -> float | None:
        """The pessimistic recovery time: measured plus resolution; None if it was not measured."""
        return self._judged_s(self.recovery.actual_ns)

    @property
    def fresh_judged_s(self) -> float | None:
        """The pessimistic time until data was fresh: measured plus resolution; None if it was not measured."""
        return self._judged_s(self.freshness.actual_ns)

    @property
    def unavailable_judged_s(self) -> float | None:
        """The pessimistic time of unavailability: measured plus resolution; None if it was not measured."""
        found = self.availability
        return _sum_s(found.actual_ns, found.resolution_ns)

    def _judged_s(self, actual_ns: int | None) -> float | None:
        return _sum_s(actual_ns, self.recovery.resolution_ns)

    def as_dict(self) -> dict[str, Any]:
        """The object that `chaos drills judge --json` prints. Not measured is None."""
        tally = self.loss.tally
        return {
            "verdict": self.overall.verdict,
            "rto_verdict": self.rto.verdict,
            "rpo_verdict": self.rpo.verdict,
            **_recovery_figures(self.recovery),
            "freshness_s": _seconds(self.freshness.actual_ns),
            "baseline_per_s": self.recovery.baseline.per_s if self.recovery.baseline else None,
            "outages": _pairs(self.recovery.outages),
            **_availability_figures(self),
            **_restart_figures(self),
            "rpo_actual_s": _seconds(self.loss.actual_ns),
            **_attempts(self.history),
            **{name: tally.get(name) for name in ANOMALIES},
            "parameters": {**self.parameters.as_dict(), **_limits(self.limits)},
            "examples": {name: [list(one) for one in shown] for name, shown in tally.examples.items()},
        }


MOST_GAPS = 20  # that are shown
_UNWATCHED = Finding("unknown", ("no restart attempts were watched",))
ANOMALIES = ("lost", "recovered", "unexpected", "duplicated", "reordered", "stale")


def judge(history: History, limits: Limits, parameters: Parameters | None = None) -> Judgement:
    """Judge `history` against `limits`."""
    parameters = parameters or Parameters()
    recovery = recovery_of(history, parameters)
    span = (recovery.fault_ns or 0, recovery.load_end_ns or 0)
    freshness = freshness_of(history, recovery.episodes, span, parameters)
    loss = loss_of(history, recovery.fault_ns)
    availability = availability_of(history, recovery.fault_ns, recovery.load_end_ns, parameters)
    findings = dict(_findings(recovery, freshness, loss, limits, parameters))
    attempts = attempts_of(history, recovery.fault_ns, recovery.load_end_ns, parameters)
    watch = _watch_blockers(begins_of(history, recovery.load_end_ns or 0), recovery.load_end_ns, parameters)
    beside = {**_judge_users(availability, limits), **_judge_restarts(attempts, limits)}
    findings |= {name: finding.blocked(watch) for name, finding in beside.items()}
    blockers = _blockers(history)
    blocked = {name: finding.blocked(blockers) for name, finding in findings.items()}
    return Judgement(history, parameters, limits, recovery, freshness, loss, availability, attempts, blocked)


def _findings(
    recovery: Recovery, freshness: Freshness, loss: Loss, limits: Limits, parameters: Parameters
) -> Iterator[tuple[str, Finding]]:
    if limits.rto_s is not None:
        watch = _watch_blockers(recovery.begins, recovery.load_end_ns, parameters)
        yield "rto", _judge_sustained(recovery, limits.rto_s, parameters).blocked(watch)
        if limits.fresh:
            yield "freshness", _judge_freshness(freshness, recovery.resolution_ns, limits.rto_s).blocked(watch)
    if limits.rpo_s is not None:
        yield "rpo", _judge_rpo(loss, limits.rpo_s)
    if limits.most_lost is not None:
        yield "max_lost", _judge_max_lost(loss, limits.most_lost)


def _blockers(history: History) -> list[str]:
    """What keeps any objective of this record from being met."""
    blockers = []
    if not history.marks_named("fault_begin"):
        blockers.append("no fault was marked")
    elif not all_ended(history, "fault"):
        blockers.append("a fault began and did not end: it failed, or hit nothing")
    if history.end_ns is None:
        blockers.append("the record has no end: the observer died")
    elif history.warnings:
        blockers.append(f"the record is damaged: {history.warnings[0].rstrip('.')}")
    return blockers


def _watch_blockers(begins: Sequence[Begin], load_end_ns: int | None, parameters: Parameters) -> list[str]:
    """Load that ended too soon after the last begin: what came later was not seen."""
    if not begins or load_end_ns is None:
        return []
    watched_ns = load_end_ns - begins[-1].at_ns
    if watched_ns >= to_ns(parameters.watch_s):
        return []
    return [f"load ended {to_s(watched_ns):.3g} s after the last begin, before watch_s ({parameters.watch_s:g} s)"]


def _judge_sustained(recovery: Recovery, rto_s: float, parameters: Parameters) -> Finding:
    if recovery.fault_ns is None:
        return Finding("unknown", ("without a fault there is no recovery to measure",))
    if recovery.baseline is None:
        return Finding(
            "unknown",
            (f"there is no baseline: under {parameters.stable_s:g} s of clean service before the fault",),
        )
    if not recovery.episodes or recovery.resolution_ns is None:
        return Finding("unknown", ("the fault began at or after the end of load",))
    if recovery.actual_ns is None:
        return _judge_censored("service was not restored", recovery.at_least_ns or 0, rto_s)
    return _judge_measured("recovery took", recovery.actual_ns, recovery.resolution_ns, rto_s)


def _judge_freshness(freshness: Freshness, resolution_ns: int | None, rto_s: float) -> Finding:
    if freshness.censored:
        return _judge_censored("data was not fresh again", freshness.at_least_ns or 0, rto_s)
    if freshness.actual_ns is None or resolution_ns is None:
        return Finding("unknown", (freshness.why or "freshness was not measured",))
    return _judge_measured("fresh data took", freshness.actual_ns, resolution_ns, rto_s)


def _judge_users(found: Availability, limits: Limits) -> dict[str, Finding]:
    if limits.max_unavailable_s is None:
        return {}
    return {"max_unavailable_s": _judge_availability(found, limits.max_unavailable_s)}


def _judge_availability(found: Availability, limit_s: float) -> Finding:
    if found.actual_ns is None or found.resolution_ns is None:
        return Finding("unknown", (found.why,))
    took = f"the endpoint {found.stream} was unavailable for"
    judged = _judge_measured(took, found.actual_ns, found.resolution_ns, limit_s)
    return judged.blocked([f"the endpoint {name} was still unavailable when load ended" for name in found.still])


def _judge_restarts(attempts: Sequence[Attempts], limits: Limits) -> dict[str, Finding]:
    findings = {}
    if limits.max_attempts is not None:
        most = limits.max_attempts
        each = [_judge_attempts(one, one.count, one.judged, most, "") for one in attempts]
        findings["max_attempts"] = worst(each or [_UNWATCHED])
    if limits.max_attempts_per_min is not None:
        most = limits.max_attempts_per_min
        each = [_judge_attempts(one, one.worst_per_min, one.worst_judged, most, " in a minute") for one in attempts]
        findings["max_attempts_per_min"] = worst(each or [_UNWATCHED])
    return findings


def _judge_attempts(found: Attempts, count: int | None, judged: int | None, most: int, when: str) -> Finding:
    if count is None:
        return Finding("unknown", (found.why,))
    anew = f" (it began anew {_many(found.resets, 'time')})" if found.resets else ""
    blind = f" (a restart of it may hide {_many(found.blind, 'time')} where it was not seen)" if found.blind else ""
    why = f"{found.stream} counts {_many(count, 'attempt')}{when}{anew}{blind}, {most} are allowed"
    if count > most:
        return Finding("missed", (why,))
    return Finding("met" if judged is not None and judged <= most else "unknown", (why,)).blocked(
        [found.doubt] if found.doubt else []
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _judge_censored(what: str, at_least_ns: int, rto_s: float) -> Finding:
    took = f"{what}; it took at least {to_s(at_least_ns):.3f} s"
    if at_least_ns > to_ns(rto_s):
        return Finding("missed", (f"{took}, past the {rto_s:g} s allowed",))
    return Finding("unknown", (f"{took}, and {rto_s:g} s are allowed",))


def _judge_measured(what: str, actual_ns: int, resolution_ns: int, limit_s: float) -> Finding:
    took = f"{what} {to_s(actual_ns):.3f} s (seen to within {to_s(resolution_ns):.3g} s) of the {limit_s:g} s allowed"
    if actual_ns > to_ns(limit_s):
        return Finding("missed", (took,))
    return Finding("met" if actual_ns + resolution_ns <= to_ns(limit_s) else "unknown", (took,))


def _judge_rpo(loss: Loss, rpo_s: float) -> Finding:
    length_ns = loss.window_ns[1] - loss.window_ns[0] if loss.window_ns else 0
    if length_ns > to_ns(rpo_s):
        why = f"acknowledged records of {to_s(length_ns):.3f} s are lost, {rpo_s:g} s are allowed"
        return Finding("missed", (why,))
    if loss.actual_ns is None:
        return Finding("unknown", (loss.why,))
    summary = (
        f"acknowledged records of {to_s(length_ns):.3f} s are lost" if length_ns else "no acknowledged time is lost"
    )
    return Finding("met", (f"{summary}, {rpo_s:g} s are allowed",)).blocked(_loss_blockers(loss))


def _judge_max_lost(loss: Loss, most_lost: int) -> Finding:
    lost = loss.tally.get("lost")
    if lost is not None and lost > most_lost:
        return Finding("missed", (f"{lost} acknowledged records are lost, {most_lost} are allowed",))
    if lost is None or loss.missing:
        return Finding("unknown", (loss.why or "nothing was read back",))
    why = f"{lost} acknowledged records are lost, {most_lost} are allowed"
    return Finding("met", (why,)).blocked(_loss_blockers(loss))


def _loss_blockers(loss: Loss) -> list[str]:
    blockers = []
    if loss.lower_bound:
        blockers.append("no acknowledged record before the oldest lost one survives, so more may be gone")
    if loss.may_be_lost:
        blockers.append(f"{loss.may_be_lost} acknowledged writes may have been replaced or lost")
    return blockers


def _recovery_figures(recovery: Recovery) -> dict[str, Any]:
    return {
        "rto_actual_s": _seconds(recovery.actual_ns),
        "rto_censored": recovery.censored,
        "rto_at_least_s": _seconds(recovery.at_least_ns),
        "resolution_s": _seconds(recovery.resolution_ns),
        "detection_s": _seconds(recovery.detection_ns),
        "first_success_s": _seconds(recovery.first_success_ns),
    }


def _availability_figures(judgement: Judgement) -> dict[str, Any]:
    """Only of a history with polls, or where they are asked for: others have nothing to say here."""
    finding = judgement.findings.get("max_unavailable_s")
    if finding is None and not judgement.history.poll_streams:
        return {}
    found = judgement.availability
    return {
        **({} if finding is None else {"unavailable_verdict": finding.verdict}),
        "unavailable_s": _seconds(found.actual_ns),
        "unavailable_resolution_s": _seconds(found.resolution_ns),
    }


def _restart_figures(judgement: Judgement) -> dict[str, Any]:
    """As `_availability_figures`; of several sample streams, those of the one with most attempts."""
    findings = [
        judgement.findings[name] for name in ("max_attempts", "max_attempts_per_min") if name in judgement.findings
    ]
    found = worst_of(judgement.attempts)
    if found is None and not findings:
        return {}
    found = found or Attempts("")
    gaps_ns = found.gaps_ns
    return {
        **({"restart_verdict": worst(findings).verdict} if findings else {}),
        "restart_attempts": found.count,
        "restart_judged": found.judged,
        "restart_mean_per_min": found.mean_per_min,
        "restart_worst_per_min": found.worst_per_min,
        "restart_worst_judged": found.worst_judged,
        "restart_mean_gap_s": sum(gaps_ns) / len(gaps_ns) / NS if gaps_ns else None,
        "restart_gaps_s": [to_s(gap_ns) for gap_ns in gaps_ns[:MOST_GAPS]],
        "restart_backs_off": found.backs_off,
        "restart_resets": found.resets,
        "restart_silent_s": _seconds(found.silent_ns),
    }


def _attempts(history: History) -> dict[str, int]:
    outcome = history.writes.outcome
    return {
        "attempted": len(outcome),
        "acknowledged": int((outcome == Outcome.OK).sum()),
        "failed": int((outcome == Outcome.FAILED).sum()),
        "unknown": int((outcome == Outcome.UNKNOWN).sum()),
    }


def _limits(limits: Limits) -> dict[str, Any]:
    beside = {name: getattr(limits, name) for name in ("max_unavailable_s", "max_attempts", "max_attempts_per_min")}
    given = {name: value for name, value in beside.items() if value is not None}
    return {"rto_s": limits.rto_s, "rpo_s": limits.rpo_s, "max_lost": limits.most_lost, "fresh": limits.fresh, **given}


def _pairs(outages: list[tuple[int, int]] | None) -> list[list[float | None]] | None:
    if outages is None:
        return None
    return [[begin / NS, None if end >= FAR_NS else end / NS] for begin, end in outages]


def _sum_s(actual_ns: int | None, resolution_ns: int | None) -> float | None:
    return None if actual_ns is None or resolution_ns is None else to_s(actual_ns + resolution_ns)


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / NS
