"""A drill from end to end: what is on the screen, in the journal and in the folder; and the report written again."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.errors import USAGE
from tests.drills.chaos import USER, WAIT, Place, Run, experiment

pytestmark = pytest.mark.lab

FILES = {"journal.json", "observer.log", "record", "report.html", "report.md", "summary.json"}


@pytest.fixture(scope="module")
def met(lab: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A broker loss that is met."""
    place = Place(tmp_path_factory.mktemp("met"), lab.endpoint, lab.state)
    run = place.run(experiment())
    yield run
    run.end_all()


def test_it_is_met_and_the_five_lines_come_last(met: Run) -> None:
    assert met.status == 0, met.log
    assert [line.split(":")[0] for line in met.lines] == ["Verdict", "RTO", "Lost", "Why", "Report"]
    assert met.line("Verdict") == "met"
    assert re.fullmatch(r"[0-9.]+ s, seen to within [0-9.]+ s \(600 s allowed\)", met.line("RTO"))
    assert re.fullmatch(r"0 of [0-9,]+ acknowledged records", met.line("Lost"))
    assert "recovery took" in met.line("Why")
    assert (met.folder / met.line("Report")).is_file()
    ended = met.log.index("Experiment ended with status: completed")
    assert "[drill]" not in met.log[ended:]
    assert met.living() == []


def test_the_screen_tells_each_phase_without_a_terminal(met: Run) -> None:
    told = re.findall(r"\[drill\] ([^|]+) \|", met.log)
    assert {WAIT[:35] + "…", "watch"} <= set(told), "phases of some seconds are told"
    assert re.search(r"\[drill\] .*\| \d+ s since the fault \| \d+ acks/s", met.log)


def test_the_journals_hold_the_summary_and_no_name(met: Run) -> None:
    kept = json.loads((met.drill / "journal.json").read_text())
    for journal in (met.journal, kept):
        assert journal["status"] == "completed"
        assert journal["deviated"] is False
        assert journal["node"] == ""
        assert journal["chaosdrills"] == met.summary
        assert [run["status"] for run in journal["run"]] == ["succeeded"] * 4
    assert met.summary["verdict"] == "met"
    assert all(check["ok"] for check in met.summary["checks"])
    assert {check["name"] for check in met.summary["checks"]} >= {"activities", "drained", "read back", "record"}
    phases = [phase["name"] for phase in met.summary["phases"]]
    wanted = ["warm up", "baseline", "kill the leader", WAIT, "start the broker again", "watch", "drain and read back"]
    assert [name for name in phases if name in wanted] == wanted


def test_the_folder_is_whole_and_names_nobody(met: Run) -> None:
    assert {path.name for path in met.drill.iterdir()} == FILES
    assert set(met.summary["evidence"]) == FILES
    texts = {path.name: path.read_text() for path in met.drill.iterdir() if path.name != "record"}
    texts["record"] = met.place.drills("record", "show", str(met.drill / "record")).stdout
    names = [USER, str(met.folder), str(met.place.state), str(met.folder.parents[1]), "/home/"]
    for name, text in texts.items():
        assert [it for it in names if it in text] == [], name
        assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text), name
        assert not re.search(r"(?<![\w.:/<-])/(usr|tmp|root|work|var|proc)/", text), name


def test_the_verdict_was_that_of_the_record(met: Run) -> None:
    options = ("--stable-s", "1.5", "--baseline-s", "2", "--watch-s", "2", "--max-lost", "0", "--json")
    judged = met.place.drills("judge", str(met.drill / "record"), *options)
    assert judged.returncode == 0, judged.stderr
    figures = json.loads(judged.stdout)
    objectives = {it["name"]: it["actual"] for it in met.summary["objectives"]}
    assert objectives == {"rto": figures["rto_actual_s"], "rpo": 0.0, "max_lost": 0}
    assert met.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]


def test_the_report_can_be_written_again(met: Run) -> None:
    before = {name: (met.drill / name).read_bytes() for name in ("report.md", "report.html", "summary.json")}
    (met.drill / "report.html").unlink()
    (met.drill / "report.md").unlink()
    done = met.place.drills("report", str(met.drill))
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).name == "report.html"
    assert {name: (met.drill / name).read_bytes() for name in before} == before


def test_a_report_of_nothing_is_a_usage_error(met: Run, tmp_path: Path) -> None:
    done = met.place.drills("report", str(tmp_path))
    assert done.returncode == USAGE
    assert done.stderr.startswith("Error: cannot read ")
    assert "Try: name the folder of a run." in done.stderr
