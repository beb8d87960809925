"""The summary: the one shape that reports, gates and metrics read, for fault drills, restores and all else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from chaosdrills.core.history import to_s
from chaosdrills.core.judge import ANOMALIES, Judgement
from chaosdrills.core.verdict import Finding, worst


@dataclass(frozen=True)
class Phase:
    """A named stretch of a drill, seconds on the record's clock."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True)
class Check:
    """Something that must hold for the drill's figures to be believed. A failed one keeps it from being met."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Drill:
    """What a drill is, beside its figures. `environment`: flat facts; `evidence`: paths relative to its folder."""

    drill_id: str
    service: str
    kind: str
    title: str
    started_at: str
    phases: Sequence[Phase] = ()
    checks: Sequence[Check] = ()
    evidence: Sequence[str] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def verdict_of(judgement: Judgement, checks: Iterable[Check]) -> Finding:
    """The judgement's verdict; failed checks keep it from being met, and are then the first reasons."""
    found = judgement.overall
    failed = tuple(f"{check.name}: {check.detail}" for check in checks if not check.ok)
    if not failed or found.verdict == "missed":
        return found
    return Finding("unknown", failed + (found.why if found.verdict == "unknown" else ()))


def summarise(drill: Drill, judgement: Judgement) -> dict[str, Any]:
    """The summary of `drill` with the figures of `judgement`, as JSON."""
    verdict = verdict_of(judgement, drill.checks)
    return {
        "drill_id": drill.drill_id,
        "service": drill.service,
        "kind": drill.kind,
        "title": drill.title,
        "started_at": drill.started_at,
        "verdict": verdict.verdict,
        "why": list(verdict.why),
        "objectives": [_objective(name, finding, judgement) for name, finding in judgement.findings.items()],
        "phases": [asdict(phase) for phase in drill.phases],
        "checks": [asdict(check) for check in drill.checks],
        "notes": [{"at": to_s(note.at_ns), "text": note.text} for note in judgement.history.notes],
        "loss": _loss(judgement),
        "evidence": list(drill.evidence),
        "parameters": judgement.parameters.as_dict(),
        "environment": dict(drill.environment),
        "versions": dict(drill.versions),
    }


def unmeasured(drill: Drill, why: str) -> dict[str, Any]:
    """The summary of a drill that left no record to judge: unknown, and why."""
    checks = [*drill.checks, Check("record", False, why)]
    return {
        **{name: getattr(drill, name) for name in ("drill_id", "service", "kind", "title", "started_at")},
        "verdict": worst([Finding("unknown")]).verdict,
        "why": [why],
        "objectives": [],
        "phases": [asdict(phase) for phase in drill.phases],
        "checks": [asdict(check) for check in checks],
        "notes": [],
        "loss": None,
        "evidence": list(drill.evidence),
        "parameters": {},
        "environment": dict(drill.environment),
        "versions": dict(drill.versions),
    }


def _objective(name: str, finding: Finding, judgement: Judgement) -> dict[str, Any]:
    figures = judgement.as_dict()
    limits = judgement.limits
    measured = {
        "rto": (limits.rto_s, figures["rto_actual_s"], judgement.rto_judged_s, "s"),
        "freshness": (limits.rto_s, figures["freshness_s"], judgement.fresh_judged_s, "s"),
        "rpo": (limits.rpo_s, figures["rpo_actual_s"], figures["rpo_actual_s"], "s"),
        "max_lost": (limits.most_lost, figures["lost"], figures["lost"], "records"),
        "max_unavailable_s": (
            limits.max_unavailable_s,
            figures.get("unavailable_s"),
            judgement.unavailable_judged_s,
            "s",
        ),
        "max_attempts": (
            limits.max_attempts,
            figures.get("restart_attempts"),
            figures.get("restart_judged"),
            "attempts",
        ),
        "max_attempts_per_min": (
            limits.max_attempts_per_min,
            figures.get("restart_worst_per_min"),
            figures.get("restart_worst_judged"),
            "attempts",
        ),
    }
    limit, actual, judged, unit = measured[name]
    return {
        "name": name,
        "limit": limit,
        "actual": actual,
        "judged": judged,
        "unit": unit,
        "verdict": finding.verdict,
        "why": "; ".join(finding.why),
    }


def _loss(judgement: Judgement) -> dict[str, Any]:
    figures = judgement.as_dict()
    window = judgement.loss.window_ns
    return {
        **{name: figures[name] for name in ("attempted", "acknowledged", "failed", "unknown", *ANOMALIES)},
        "window_s": None if window is None else [to_s(window[0]), to_s(window[1])],
        "examples": figures["examples"],
    }
