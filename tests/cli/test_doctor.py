"""`doctor`: its lines, its JSON, and its exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from chaosdrills.cli.main import drills
from chaosdrills.gameday import checkup
from chaosdrills.gameday.checkup import Finding

FINE, LATE = Finding("python", "ok", "3.13"), Finding("jars", "warn", "not fetched yet", "fetch them.")
BAD = Finding("ports", "fail", "taken", "end that.")


@pytest.mark.parametrize(("findings", "status"), [([FINE, LATE], 0), ([FINE, BAD], 69)])
def test_the_status_says_whether_a_drill_can_run(
    findings: list[Finding], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "checks", lambda: [lambda: findings])
    plain, as_json = (CliRunner().invoke(drills, ["doctor", *options]) for options in ([], ["--json"]))
    assert (plain.exit_code, as_json.exit_code) == (status, status)
    shown = [f"{it.state:<4}  {it.name}: {it.detail}" for it in findings]
    shown.insert(2, f"      Try: {findings[1].fix}")
    assert plain.stdout.splitlines() == [*shown, *([] if status else ["A drill can run here."])]
    assert json.loads(as_json.stdout) == {
        "ready": status == 0,
        "checks": [{"name": it.name, "state": it.state, "detail": it.detail, "fix": it.fix} for it in findings],
    }
    assert plain.stderr == ("Error: no drill can run here: ports.\nTry: do what is said for each.\n" if status else "")


def test_a_state_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    done = CliRunner().invoke(drills, ["doctor"])
    assert done.exit_code == 69
    assert "state" in done.stderr
