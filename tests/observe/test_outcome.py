"""What a drill ends with: its summary, its files, its five last lines."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.judge import Limits
from chaosdrills.core.summary import Check
from chaosdrills.observe.folder import EVIDENCE
from chaosdrills.observe.outcome import NOTHING_OBSERVED, Outcome, conclude, last_lines
from tests.observe.drills import FAULT, over, write_record

NAMES = ["Verdict", "RTO", "Lost", "Why", "Report"]


def activity(name: str, status: str | None = "succeeded", *exception: str) -> dict[str, Any]:
    run = {"activity": {"name": name}, "output": None, "exception": list(exception)}
    return run if status is None else {**run, "status": status}


def journal(*runs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "status": "completed",
        "node": "box",
        "steady_states": {"before": {"steady_state_met": True, "probes": []}, "after": None},
        "run": list(runs or [activity("kill the leader")]),
        "rollbacks": [],
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "journals" / "run"
    made.mkdir(parents=True)
    return made


def lines(outcome: Outcome) -> dict[str, str]:
    assert [line.partition(": ")[0] for line in outcome.lines] == NAMES
    assert all("\n" not in line for line in outcome.lines)
    return {name: value for name, _, value in (line.partition(": ") for line in outcome.lines)}


def test_met(folder: Path) -> None:
    write_record(folder / "record", outage=(10, 13))
    outcome = conclude(over(folder), journal())
    assert lines(outcome) == {
        "Verdict": "met",
        "RTO": "3.000 s, seen to within 0.5 s (600 s allowed)",
        "Lost": "0 of 600 acknowledged records",
        "Why": "recovery took 3.000 s (seen to within 0.5 s) of the 600 s allowed; no acknowledged time is lost, "
        "900 s are allowed; 0 acknowledged records are lost, 0 are allowed",
        "Report": "journals/run/report.html",
    }
    assert [check["name"] for check in outcome.summary["checks"]] == ["activities", "record"]
    assert all(check["ok"] for check in outcome.summary["checks"])


def test_the_files(folder: Path) -> None:
    write_record(folder / "record")
    (folder / "observer.log").write_text("")
    given = journal()
    outcome = conclude(over(folder), given)
    assert {path.name for path in folder.iterdir()} == set(EVIDENCE)
    assert json.loads((folder / "summary.json").read_text()) == outcome.summary
    kept = json.loads((folder / "journal.json").read_text())
    assert kept == {**given, "node": "", "chaosdrills": outcome.summary}
    assert outcome.summary["evidence"] == list(EVIDENCE)
    assert outcome.summary["title"] == "Nothing is lost"


def test_missed(folder: Path) -> None:
    write_record(folder / "record", lost=3)
    outcome = conclude(over(folder), journal())
    told = lines(outcome)
    assert told["Verdict"] == "missed"
    assert told["Lost"] == "3 of 600 acknowledged records"
    assert told["Why"] == "3 acknowledged records are lost, 0 are allowed"


def test_failed_checks_keep_it_from_being_met_and_the_first_error_is_the_reason(folder: Path) -> None:
    write_record(folder / "record")
    drill = over(folder)
    drill.checks.append(Check("read back", False, "it was late"))
    drill.note_error("the disk is gone.")
    drill.note_error("a second error.")
    failed = activity("start it", "failed", "Traceback\n", "chaoslib.exceptions.ActivityFailed: no. Try: again.\n")
    outcome = conclude(drill, journal(failed, activity("wait", None)))
    assert outcome.summary["verdict"] == "unknown"
    assert outcome.summary["why"] == [
        "drill: the disk is gone",
        "activities: failed: 'start it' (no), 'wait'",
        "read back: it was late",
    ]
    assert lines(outcome)["Why"] == "the disk is gone (and 2 more in the report)"


def test_missed_stays_missed_whatever_failed(folder: Path) -> None:
    write_record(folder / "record", lost=3)
    assert lines(conclude(over(folder), journal(activity("x", "failed"))))["Verdict"] == "missed"


def test_a_record_without_an_end_is_never_met(folder: Path) -> None:
    write_record(folder / "record", marks=FAULT, whole=False)
    told = lines(conclude(over(folder), journal()))
    assert told["Verdict"] == "unknown"
    assert told["Lost"] == "not known, of 600 acknowledged records"


def test_a_hypothesis_that_did_not_hold_before_the_method(folder: Path) -> None:
    write_record(folder / "record", marks=[("load_end", 30.0)])
    before = {"steady_state_met": False, "probes": [activity("readers see fresh data", "failed", "X: 9 s old")]}
    outcome = conclude(over(folder), journal(steady_states={"before": before, "after": None}, run=[]))
    why = "steady state: 'readers see fresh data' (X: 9 s old) did not hold before the method: nothing was injected"
    assert outcome.summary["why"][0] == why
    assert outcome.summary["verdict"] == "unknown"


def test_without_a_record(folder: Path) -> None:
    drill = over(folder)
    drill.note_error("no Kafka broker answers.")
    outcome = conclude(drill, journal(run=[]))
    assert lines(outcome) == {
        "Verdict": "unknown",
        "RTO": "not measured",
        "Lost": "not known",
        "Why": "no Kafka broker answers",
        "Report": "none was written; see journals/run",
    }
    assert outcome.summary["evidence"] == ["journal.json", "summary.json"]
    assert [line.partition(": ")[0] for line in NOTHING_OBSERVED] == NAMES


def test_an_rto_that_is_not_judged(folder: Path) -> None:
    write_record(folder / "record")
    told = lines(conclude(over(folder, Limits(rpo_s=900)), journal()))
    assert (told["Verdict"], told["RTO"]) == ("met", "not judged")


def test_a_folder_that_cannot_be_written_costs_the_files_and_not_the_outcome(folder: Path) -> None:
    write_record(folder / "record")
    drill = over(folder)
    drill.judged()
    shutil.rmtree(folder)
    outcome = conclude(drill, journal())
    told = lines(outcome)
    assert told["Verdict"] == "met"
    assert told["Report"] == "none was written, journals/run cannot be written to: No such file or directory"


@pytest.mark.parametrize(
    ("rto_s", "fresh_s", "at_least_s", "told"),
    [
        (0.0, 44.193, None, "44.193 s until data was fresh, seen to within 0.044 s (600 s allowed)"),
        (9.0, 4.2, None, "9.000 s, seen to within 0.044 s (600 s allowed)"),
        (9.0, None, None, "fresh data not measured (600 s allowed)"),
        (None, None, None, "not measured (600 s allowed)"),
        (None, 4.2, 22.6, "not restored within 22.600 s (600 s allowed)"),
    ],
)
def test_the_recovery_time_is_that_of_what_took_longest(
    rto_s: float | None, fresh_s: float | None, at_least_s: float | None, told: str
) -> None:
    objectives = [
        {"name": name, "actual": actual_s, "judged": None if actual_s is None else actual_s + 0.044, "limit": 600}
        for name, actual_s in (("rto", rto_s), ("freshness", fresh_s))
    ]
    summary = {"verdict": "unknown", "why": ["why"], "objectives": objectives, "loss": None}
    assert last_lines(summary, "none", at_least_s)[1] == f"RTO: {told}"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"experiment": {"method": [{}, {}]}},
            "activities: only 1 of the method's 2 activities were run",
        ),
        (
            {
                "steady_states": {
                    "before": {"steady_state_met": True, "probes": []},
                    "during": [{"steady_state_met": False, "probes": [activity("writes are acknowledged", "failed")]}],
                }
            },
            "activities: 'writes are acknowledged' did not hold during the method",
        ),
    ],
)
def test_a_method_that_was_not_done_as_it_stands_is_never_met(folder: Path, more: dict[str, Any], why: str) -> None:
    write_record(folder / "record", marks=FAULT)
    outcome = conclude(over(folder), journal(**more))
    assert (outcome.summary["verdict"], outcome.summary["why"]) == ("unknown", [why])
