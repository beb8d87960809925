"""The report's files: both or an error that says what to install, and nothing half written beside them."""

import sys
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.report import render
from chaosdrills.report.folder import write_report
from tests.report import samples


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    drill = samples.broker_loss()
    assert write_report(tmp_path, *drill.arguments()) == tmp_path / "report.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render.render_html(*drill.arguments())
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == render.render_markdown(*drill.arguments())


def test_text_that_utf_8_cannot_hold_does_not_stop_a_report(tmp_path: Path) -> None:
    write_report(tmp_path, *samples.hostile().arguments())
    assert "4.3.1" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_missing_jinja2_is_named_and_leaves_the_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    render._environment.cache_clear()
    try:
        with pytest.raises(UnavailableError) as caught:
            write_report(tmp_path, *samples.broker_loss().arguments())
    finally:
        render._environment.cache_clear()
    assert caught.value.hint == "pip install 'chaosdrills[report]'"
    assert caught.value.exit_status == 69
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
