"""Which run of an experiment was the last, and what it came to: never an older verdict than the last run's own."""

import json
from datetime import UTC, datetime
from pathlib import Path

from chaosdrills.gameday.runs import LastRun, folders, last_run

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


def run(journals: Path, name: str, content: object = None) -> str:
    folder = journals / name
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "summary.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder)


def test_the_youngest_of_its_own_runs_counts(tmp_path: Path) -> None:
    run(tmp_path, "20261124T120000Z-x", {"verdict": "missed"})
    folder = run(tmp_path, "20261125T110000Z-x", {"verdict": "met"})
    run(tmp_path, "20261125T115959Z-x-and-more", {"verdict": "missed"})
    run(tmp_path, "samples")
    assert last_run(tmp_path, "x", "X", NOW) == LastRun("met", "", "2026-11-25T11:00:00Z", 3600, folder)
    assert last_run(tmp_path, "y", "Y", NOW) is None
    assert last_run(tmp_path / "none", "x", "X", NOW) is None
    assert [path.name for path in folders(tmp_path)] == [
        "20261125T115959Z-x-and-more", "20261125T110000Z-x", "20261124T120000Z-x"
    ]  # fmt: skip


def test_a_run_that_left_no_verdict_is_not_known(tmp_path: Path) -> None:
    run(tmp_path, "20261124T120000Z-x", {"verdict": "met"})
    folder = run(tmp_path, "20261125T120000Z-x")
    left = "it left no summary.json: it died, or is under way"
    assert last_run(tmp_path, "x", "X", NOW) == LastRun("unknown", left, "2026-11-25T12:00:00Z", 0, folder)
    for content, why in (
        ("{", "is damaged: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"verdict": "missed", "verdict": "met"}', 'is damaged: the key "verdict" is there twice'),
        ("[]", "has no verdict"),
        ('{"verdict": "splendid"}', "has no verdict"),
        ('{"verdict": ["met"]}', "has no verdict"),
    ):
        (Path(folder) / "summary.json").write_text(content)
        found = last_run(tmp_path, "x", "X", NOW)
        assert found is not None
        assert (found.verdict, found.why) == ("unknown", f"its summary.json {why}")


def test_a_second_run_of_one_second_is_told_from_another_experiment_by_its_title(tmp_path: Path) -> None:
    run(tmp_path, "20261125T110000Z-x", {"verdict": "met", "title": "X"})
    second = run(tmp_path, "20261125T110000Z-x-2", {"verdict": "missed", "title": "X"})
    run(tmp_path, "20261125T113000Z-x-3", {"verdict": "met", "title": "X 3"})
    found = last_run(tmp_path, "x", "X", NOW)
    assert found is not None
    assert (found.verdict, found.folder) == ("missed", second)
    third = last_run(tmp_path, "x-3", "X 3", NOW)
    assert third is not None
    assert third.verdict == "met"
