"""`chaosdrills report`: figures and verdicts are the record's, never the stored summary's."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chaosdrills.cli.main import drills
from chaosdrills.observe.outcome import conclude
from tests.observe.drills import over, write_record

JOURNAL: dict[str, Any] = {"run": [], "rollbacks": [], "steady_states": {}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that is met, without its report."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "run"
    made.mkdir()
    write_record(made / "record", outage=(10, 13))
    assert conclude(over(made), JOURNAL).summary["verdict"] == "met"
    for name in ("report.md", "report.html"):
        (made / name).unlink()
    return made


def change(folder: Path, **entries: Any) -> None:
    path = folder / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def report(folder: Path) -> Result:
    return CliRunner().invoke(drills, ["report", str(folder)])


def first_line(folder: Path) -> str:
    return (folder / "report.md").read_text().splitlines()[0]


def test_the_report_is_written_again(folder: Path) -> None:
    kept = (folder / "summary.json").read_bytes()
    result = report(folder)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{folder / 'report.html'}\n", "")
    assert first_line(folder) == "# ✓ Met: Nothing is lost"
    assert (folder / "report.html").exists()
    assert (folder / "summary.json").read_bytes() == kept


def test_the_verdict_is_the_records_and_not_the_summarys(folder: Path) -> None:
    (folder / "record").unlink()
    write_record(folder / "record", lost=3)
    result = report(folder)
    assert result.exit_code == 0
    assert result.stderr == "Warning: summary.json says 'met', the record judged anew is 'missed'.\n"
    text = (folder / "report.md").read_text()
    assert text.startswith("# ✗ Missed: Nothing is lost")
    assert "over by 3 records" in text


def test_an_altered_summary_changes_no_figure(folder: Path) -> None:
    report(folder)
    genuine = (folder / "report.md").read_text()
    objectives = json.loads((folder / "summary.json").read_text())["objectives"]
    altered = [{**one, "actual": 1, "judged": 1, "verdict": "missed", "why": "so I say"} for one in objectives]
    change(folder, verdict="missed", why=["so I say"], objectives=altered, loss={"lost": 9})
    assert "Warning: " in report(folder).stderr
    assert (folder / "report.md").read_text() == genuine


def test_limits_parameters_and_checks_are_the_summarys(folder: Path) -> None:
    failed = {"name": "activities", "ok": False, "detail": "failed: 'start it'"}
    change(folder, objectives=[{"name": "rto", "limit": 2}], parameters={"stable_s": 2.5}, checks=[failed])
    report(folder)
    text = (folder / "report.md").read_text()
    assert text.startswith("# ✗ Missed")
    assert "| Recovery time (RTO) | 2 s | 3 s | 3.5 s |" in text
    assert "Data loss" not in text
    assert "failed: 'start it'" in text
    assert "2.5 s" in next(line for line in text.splitlines() if "must be good for this long" in line)


def test_a_record_that_was_damaged_since_is_not_met(folder: Path) -> None:
    record = folder / "record"
    record.write_bytes(record.read_bytes()[:-5])
    report(folder)
    assert first_line(folder) == "# ? Unknown: Nothing is lost"


MALFORMED: list[tuple[str, Any]] = [
    ("objectives", 5),
    ("objectives", [{"name": "rto"}]),
    ("objectives", [{"limit": 600}]),
    ("objectives", ["rto"]),
    ("objectives", [{"name": "rto", "limit": "600"}]),
    ("objectives", [{"name": "rto", "limit": True}]),
    ("objectives", [{"name": "rto", "limit": -1}]),
    ("objectives", [{"name": "rto", "limit": float("nan")}]),
    ("objectives", [{"name": "max_lost", "limit": 0.5}]),
    ("objectives", [{"name": "uptime", "limit": 1}]),
    ("parameters", {"patience_s": 1}),
    ("parameters", []),
    ("parameters", {"stable_s": "5"}),
    ("parameters", {"recovery": ["self"]}),
    ("checks", [{"name": "activities"}]),
    ("checks", [{"name": "activities", "ok": None, "detail": ""}]),
    ("checks", {"name": "activities"}),
    ("phases", [{"name": "fault", "begin": "0", "end": 1}]),
    ("phases", 1),
    ("title", 7),
    ("drill_id", None),
    ("evidence", [1]),
    ("versions", []),
]


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_malformed_summary_is_wrong_usage(folder: Path, name: str, value: Any) -> None:
    change(folder, **{name: value})
    result = report(folder)
    assert result.exit_code == 64, result.output
    assert result.stderr.startswith("Error: ")
    assert "\nTry: " in result.stderr
    assert not (folder / "report.md").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", "{}", '"objectives"'])
def test_what_is_no_summary_is_wrong_usage(folder: Path, text: str) -> None:
    (folder / "summary.json").write_text(text)
    assert report(folder).exit_code == 64


def test_a_folder_without_a_run_or_without_a_record(folder: Path, tmp_path: Path) -> None:
    assert report(tmp_path).exit_code == 64
    (folder / "record").unlink()
    assert report(folder).exit_code == 64


def test_a_folder_that_cannot_be_written_to(folder: Path) -> None:
    (folder / "report.md").mkdir()
    result = report(folder)
    assert result.exit_code == 64, result.output
    assert result.stderr.startswith(f"Error: cannot write the report into {folder}: ")
