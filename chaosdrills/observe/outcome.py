"""The outcome of a drill: its summary, the files that people read, and the last five lines on the screen."""

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from chaosdrills import __version__
from chaosdrills.core.judge import Judgement
from chaosdrills.core.stored import record_check
from chaosdrills.core.summary import Check, Drill, summarise, unmeasured
from chaosdrills.errors import DrillError
from chaosdrills.host.files import write_json
from chaosdrills.observe.activities import refused
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.endpoints import endpoints_of
from chaosdrills.observe.folder import EVIDENCE, shown, without_names
from chaosdrills.observe.watches import watches_of


@dataclass(frozen=True)
class Outcome:
    """`summary` as in the journal; `lines`: verdict, RTO against its limit, records lost, why, path of the report.

    `rto_at_least_s`: how long recovery took at least, where it did not come while it was watched.
    """

    summary: dict[str, Any]
    lines: list[str]
    rto_at_least_s: float | None = None


NOTHING_OBSERVED = [
    "Verdict: unknown",
    "RTO: not measured",
    "Lost: not known",
    "Why: the run ended before anything was observed; its first error is above",
    "Report: none was written",
]


OUTCOME = "CHAOSDRILLS_OUTCOME"


def last_word(outcome: Outcome | None, drill: ObservedDrill | None) -> list[str]:
    """The five last lines of a run: those of its outcome, or why it has none. `drill` is None if none was begun."""
    if outcome is not None:
        return outcome.lines
    if drill is None or not drill.record.exists():
        return NOTHING_OBSERVED
    return [
        *NOTHING_OBSERVED[:3],
        "Why: the run was cut short before its record was judged",
        f"Report: none was written; judge the record: chaos drills judge {shown(drill.record)}",
    ]


def hand_over(path: str, outcome: Outcome | None, drill: ObservedDrill | None, status: str | None) -> None:
    """Tell a caller that asked for it, by naming a file in `CHAOSDRILLS_OUTCOME` (empty: nobody), how the run ended.

    ``{"status": of the journal, "folder": "" if there is none, "summary": null if it was not concluded,
    "rto_at_least_s": null if recovery was measured}``.
    """
    if path:
        folder = "" if drill is None else str(drill.folder.resolve())
        with suppress(OSError, ValueError):  # the caller sees that nothing came
            told = {"summary": outcome.summary, "rto_at_least_s": outcome.rto_at_least_s} if outcome else {}
            write_json(Path(path), {"status": status, "folder": folder, "summary": None, **told})


def say_last(lines: list[str]) -> None:
    """Print the last lines, wherever they may go: a pipe that nobody reads, or a terminal of few letters."""
    text = "\n".join(lines)
    try:
        print(text, flush=True)  # noqa: T201
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)  # noqa: T201
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails again at its end


def conclude(drill: ObservedDrill, journal: dict[str, Any]) -> Outcome:
    """Judge the drill's record, and write journal.json, summary.json and the report into its folder.

    What cannot be written (a full disk) is said in the last line; the outcome is there all the same.
    """
    checks = [*_trouble(drill), *_activity_checks(journal), *drill.checks]
    judgement: Judgement | None = None
    why = ""
    try:
        judgement = drill.judged()
        checks.append(record_check(judgement))
    except DrillError as error:
        why = next((check.detail for check in checks if not check.ok), error.message.rstrip("."))
    about = _about(drill, checks)
    summary = without_names(unmeasured(about, why) if judgement is None else summarise(about, judgement), drill.words)
    try:
        report = _write(drill, summary, judgement, journal)
    except OSError as error:
        report = f"none was written, {shown(drill.folder)} cannot be written to: {error.strerror}"
    at_least_s = None if judgement is None else judgement.as_dict()["rto_at_least_s"]
    return Outcome(summary, last_lines(summary, report, at_least_s), at_least_s)


def _write(drill: ObservedDrill, summary: dict[str, Any], judgement: Judgement | None, journal: dict[str, Any]) -> str:
    """Write all files, the summary first and again with what there is; returns where the report is."""
    write_json(drill.folder / "summary.json", summary)
    report = _write_report(drill, summary, judgement)
    summary["evidence"] = [name for name in EVIDENCE if name == "journal.json" or (drill.folder / name).exists()]
    write_json(drill.folder / "summary.json", summary)
    write_json(
        drill.folder / "journal.json", without_names({**journal, "node": "", "chaosdrills": summary}, drill.words)
    )
    return report


def last_lines(summary: dict[str, Any], report: str, at_least_s: float | None = None) -> list[str]:
    """What a drill ends with on the screen; `at_least_s` as `Outcome.rto_at_least_s`."""
    objectives = {objective["name"]: objective for objective in summary["objectives"]}
    rto, fresh, loss = objectives.get("rto"), objectives.get("freshness"), summary["loss"] or {}
    recovery = "not judged" if rto is None and loss else _recovery(rto, fresh, at_least_s)
    allowed = "" if rto is None else f" ({rto['limit']:g} s allowed)"
    lost = "not known" if loss.get("lost") is None else f"{loss['lost']:,}"
    of = f" of {loss['acknowledged']:,} acknowledged records" if loss else ""
    of = f",{of}" if of and lost == "not known" else of
    lines = [
        f"Verdict: {summary['verdict']}",
        f"RTO: {recovery}{allowed}",
        f"Lost: {lost}{of}",
        f"Why: {_why(summary)}",
        f"Report: {report}",
    ]
    return [" ".join(line.split()) for line in lines]


def _recovery(rto: dict[str, Any] | None, fresh: dict[str, Any] | None, at_least_s: float | None) -> str:
    """The measured recovery time; where fresh data is judged too, and took longer, the time until that.

    Either with its resolution: a shorter stop is unseen, and a longer one is seen to within it.
    """
    if rto is None or rto["actual"] is None:
        return "not measured" if at_least_s is None else f"not restored within {at_least_s:.3f} s"
    if fresh is None or (fresh["actual"] is not None and fresh["actual"] <= rto["actual"]):
        return f"{rto['actual']:.3f} s{_resolution(rto)}"
    if fresh["actual"] is None:
        return "fresh data not measured"
    return f"{fresh['actual']:.3f} s until data was fresh{_resolution(fresh)}"


def _resolution(objective: dict[str, Any]) -> str:
    """What the judge added to a measured time."""
    return f", seen to within {objective['judged'] - objective['actual']:.3g} s"


def _why(summary: dict[str, Any]) -> str:
    """All reasons of a judgement; of what keeps it from one only the first, which is the cause of the others."""
    reasons: list[str] = summary["why"]
    if summary["verdict"] != "unknown" or len(reasons) < 2:
        return "; ".join(reasons)
    return f"{reasons[0].removeprefix('drill: ')} (and {len(reasons) - 1} more in the report)"


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
        environment={
            **drill.facts,
            "rate_per_s": drill.plan.rate_per_s,
            **_polled(drill),
            **_watched(drill),
            **_not_undone(drill),
        },
        versions=_versions(),
    )


def _not_undone(drill: ObservedDrill) -> dict[str, str]:
    return {"not_undone": ", ".join(sorted(drill.not_undone))} if drill.not_undone else {}


def _polled(drill: ObservedDrill) -> dict[str, Any]:
    """Which endpoints were polled, and how often; nothing where none was."""
    polled = [f"{one.name} at {one.rate_per_s:g}/s" for one in endpoints_of(drill.plan.polls)]
    all_of_them = [*polled, *(f"{name}: not polled, its URL is empty" for name in drill.plan.not_polled)]
    return {"polls": all_of_them} if all_of_them else {}


def _watched(drill: ObservedDrill) -> dict[str, Any]:
    """Which counts were sampled, and how often; nothing where none was."""
    watched = [f"{one.name} every {one.every_s:g} s" for one in watches_of(drill.plan.watches)]
    return {"watches": watched} if watched else {}


def _trouble(drill: ObservedDrill) -> list[Check]:
    """The first error of the drill itself: it comes first, for it is the cause of all others."""
    return [Check("drill", False, drill.trouble)] if drill.trouble else []


def _activity_checks(journal: dict[str, Any]) -> list[Check]:
    """An action that fails leaves a journal 'completed': so look at every run's status, and at the hypothesis."""
    before = (journal.get("steady_states") or {}).get("before")
    if before is not None and not before.get("steady_state_met"):
        probe = before["probes"][-1] if before["probes"] else {"activity": {"name": "the hypothesis"}}
        return [Check("steady state", False, f"{_failed(probe)} did not hold before the method: nothing was injected")]
    runs = [*journal.get("run", []), *journal.get("rollbacks", [])]
    failed = [run for run in runs if run.get("status") != "succeeded" or _refused(run)]
    if not failed:
        undone = _undone(journal)
        return [Check("activities", not undone, undone or f"all {len(runs)} succeeded"), *_after(journal)]
    first, *others = failed
    names = "".join(f", {run['activity']['name']!r}" for run in others)
    return [Check("activities", False, f"failed: {_failed(first)}{names}"), *_after(journal)]


def _undone(journal: dict[str, Any]) -> str:
    """Why the method was not done as it stands, though the load has ended in good order; empty if it was.

    A hypothesis that is looked at ``continuously`` ends a method where it fails; what was run then has succeeded.
    """
    during = (journal.get("steady_states") or {}).get("during") or []
    broken = next((state for state in during if not state.get("steady_state_met", True)), None)
    if broken is not None:
        probe = broken["probes"][-1] if broken.get("probes") else {"activity": {"name": "the hypothesis"}}
        return f"{_failed(probe)} did not hold during the method"
    wanted, done = len((journal.get("experiment") or {}).get("method") or []), len(journal.get("run", []))
    return f"only {done} of the method's {wanted} activities were run" if done < wanted else ""


def _refused(run: dict[str, Any]) -> str:
    """Why an action failed that is said to have succeeded."""
    return refused(run) if run["activity"].get("type") == "action" else ""


def _after(journal: dict[str, Any]) -> list[Check]:
    """The hypothesis after the method, as a check if it did not hold: it may ask for more than the objectives."""
    after = (journal.get("steady_states") or {}).get("after")
    if after is None or after.get("steady_state_met"):
        return []
    probe = after["probes"][-1] if after["probes"] else {"activity": {"name": "the hypothesis"}}
    return [Check("steady state", False, f"{_failed(probe)} did not hold after the method")]


def _failed(run: dict[str, Any]) -> str:
    """A failed activity's name, and why it failed: the last line of its exception, without its kind and its hint."""
    name = repr(run["activity"]["name"])
    lines = "".join(run.get("exception") or []).strip().splitlines()
    why = lines[-1].replace("chaoslib.exceptions.ActivityFailed: ", "") if lines else _refused(run)
    why = why.partition(" Try: ")[0].rstrip(".")
    return f"{name} ({why})" if why else name


def _write_report(drill: ObservedDrill, summary: dict[str, Any], judgement: Judgement | None) -> str:
    """Write the report, if there is a record and Jinja2; returns the path to show."""
    if judgement is None:
        return f"none was written; see {shown(drill.folder)}"
    from chaosdrills.report.folder import write_report

    try:
        write_report(drill.folder, summary, judgement.as_dict(), judgement.history)
    except DrillError as error:
        return f"none was written: {error}"
    except OSError as error:
        return f"none was written: {error.strerror}; see {shown(drill.folder)}"
    return shown(drill.folder / "report.html")


def _versions() -> dict[str, str]:
    versions = {"chaosdrills": __version__, "python": platform.python_version()}
    for name in ("chaostoolkit-lib", "chaostoolkit", "confluent-kafka", "psycopg", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
