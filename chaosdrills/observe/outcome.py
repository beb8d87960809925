"""The outcome of a drill: its summary, the files that people read, and the last five lines on the screen."""

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from chaosdrills import __version__
from chaosdrills.core.judge import Judgement
from chaosdrills.core.summary import Check, Drill, summarise, unmeasured
from chaosdrills.errors import DrillError
from chaosdrills.host.files import write_json
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.folder import EVIDENCE, shown, without_names


@dataclass(frozen=True)
class Outcome:
    """`summary` as in the journal; `lines`: verdict, RTO against its limit, records lost, why, path of the report."""

    summary: dict[str, Any]
    lines: list[str]


def conclude(drill: ObservedDrill, journal: dict[str, Any]) -> Outcome:
    """Judge the drill's record, and write journal.json, summary.json and the report into its folder."""
    checks = [*_activity_checks(journal), *drill.checks]
    judgement: Judgement | None = None
    trouble = ""
    try:
        judgement = drill.judged()
        checks.append(_record_check(judgement))
    except DrillError as error:
        trouble = next((check.detail for check in checks if not check.ok), error.message.rstrip("."))
    about = _about(drill, checks)
    summary = without_names(unmeasured(about, trouble) if judgement is None else summarise(about, judgement))
    write_json(drill.folder / "summary.json", summary)
    report = _write_report(drill, summary, judgement)
    existing = [name for name in EVIDENCE if name == "journal.json" or (drill.folder / name).exists()]
    summary["evidence"] = existing
    write_json(drill.folder / "summary.json", summary)
    write_json(drill.folder / "journal.json", without_names({**journal, "node": "", "chaosdrills": summary}))
    return Outcome(summary, last_lines(summary, report))


def last_lines(summary: dict[str, Any], report: str) -> list[str]:
    """What a drill ends with on the screen."""
    objectives = {objective["name"]: objective for objective in summary["objectives"]}
    rto, loss = objectives.get("rto"), summary["loss"] or {}
    recovery = "not measured" if rto is None or rto["actual"] is None else f"{rto['actual']:.3f} s"
    allowed = f" of {rto['limit']:g} s allowed" if rto and rto["limit"] is not None else ""
    lost = "not known" if loss.get("lost") is None else f"{loss['lost']:,}"
    return [
        f"Verdict: {summary['verdict']}",
        f"RTO: {recovery}{allowed}",
        f"Lost: {lost} of {loss.get('acknowledged', 0):,} acknowledged records",
        f"Why: {'; '.join(summary['why']) or 'all objectives were met'}",
        f"Report: {report}",
    ]


def _about(drill: ObservedDrill, checks: list[Check]) -> Drill:
    return Drill(
        drill_id=drill.drill_id,
        service=drill.plan.service,
        kind="fault",
        title=drill.title,
        started_at=drill.started_at,
        phases=drill.phases(),
        checks=checks,
        evidence=EVIDENCE,
        environment={**drill.facts, "rate_per_s": drill.plan.rate_per_s},
        versions=_versions(),
    )


def _activity_checks(journal: dict[str, Any]) -> list[Check]:
    """An action that fails leaves a journal 'completed': so look at every run's status, and at the hypothesis."""
    before = (journal.get("steady_states") or {}).get("before")
    if before is not None and not before.get("steady_state_met"):
        probe = before["probes"][-1]["activity"]["name"]
        return [Check("steady state", False, f"{probe!r} did not hold before the method, so nothing was injected")]
    runs = [*journal.get("run", []), *journal.get("rollbacks", [])]
    failed = [run["activity"]["name"] for run in runs if run.get("status") != "succeeded"]
    detail = f"failed: {', '.join(failed)}" if failed else f"all {len(runs)} succeeded"
    return [Check("activities", not failed, detail)]


def _record_check(judgement: Judgement) -> Check:
    warnings = judgement.history.warnings
    return Check("record", not warnings, "; ".join(warnings) or "complete, its checksums are right")


def _write_report(drill: ObservedDrill, summary: dict[str, Any], judgement: Judgement | None) -> str:
    """Write the report, if there is a record and Jinja2; returns the path to show."""
    if judgement is None:
        return f"none was written; see {shown(drill.folder)}"
    from chaosdrills.report.folder import write_report

    try:
        write_report(drill.folder, summary, judgement.as_dict(), judgement.history)
    except DrillError as error:
        return f"none was written: {error}"
    return shown(drill.folder / "report.html")


def _versions() -> dict[str, str]:
    versions = {"chaosdrills": __version__, "python": platform.python_version()}
    for name in ("chaostoolkit-lib", "chaostoolkit", "confluent-kafka", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
