"""What the fuzzer found or would have, as literal inputs, where no test of the module itself has them."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from chaosdrills.cli.main import drills
from chaosdrills.core.history import NO_TIME
from chaosdrills.core.judge import judge
from chaosdrills.core.stored import drill_of
from chaosdrills.errors import DrillError, UnavailableError, UsageError
from chaosdrills.host import nodes
from chaosdrills.host.settings import OVERRIDE, load_objectives
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.slots import Kind
from tests.fuzz.targets import LAB_SEED
from tests.observe.drills import LIMITS, PARAMETERS, write_record
from tests.observe.test_record import recording
from tests.observe.test_record_damage import sealed, slot, text

FAR = 2**61


def refused(path: Path) -> str:
    """Why the record is refused."""
    with pytest.raises(UsageError) as caught:
        read_record(path)
    return caught.value.message


@pytest.mark.parametrize(
    ("slots", "what"),
    [
        (slot(Kind.WRITE, seq=9, invoked=-FAR, completed=0), "a write that cannot be"),
        (slot(Kind.WRITE, seq=9, completed=FAR), "a write that cannot be"),
        (slot(Kind.WRITE, seq=9, invoked=NO_TIME, completed=NO_TIME, outcome=2), "a write that cannot be"),
        (slot(Kind.READ, seq=9, invoked=FAR, completed=FAR), "a read that cannot be"),
        (text(Kind.MARK, '{"name":"drained","label":""}', invoked=FAR), "a text that is not a mark"),
        (text(Kind.STREAM, '"\\ud800"', stream=1), "a text that is not a stream"),
        (text(Kind.STREAM, "NaN", stream=1), "a text that is not a stream"),
        (slot(Kind.FINAL, invoked=-FAR), "a read-back that cannot be"),
        (slot(Kind.FINAL_RUN, completed=2**41), "a read-back that cannot be"),
        (slot(Kind.FINAL_RUN, seq=2**63 - 2, completed=3), "a read-back that cannot be"),
        (slot(Kind.END, invoked=FAR), "an end that is not the end"),
    ],
)
def test_instants_and_runs_that_cannot_be_reckoned_with(tmp_path: Path, slots: bytes, what: str) -> None:
    """Their sums and differences leave int64: a span that wrapped around could have been taken for a short one."""
    path = tmp_path / "record"
    with recording(path) as writer:
        writer.stream("a")
    data = path.read_bytes()
    path.write_bytes(sealed(data, slots))
    assert refused(path) == f"record is damaged at byte {len(data)}: {what}."


def test_a_read_back_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """A run of 2**34 records takes one slot, and 128 GiB when it is looked at."""
    path = tmp_path / "record"
    with recording(path) as writer:
        writer.stream("a")
    run = slot(Kind.FINAL_RUN, completed=2**34) + slot(Kind.FINAL, seq=2**34)
    path.write_bytes(sealed(path.read_bytes(), run))
    assert refused(path) == "record holds read-backs of 17179869184 records, and 0 were written."


@pytest.mark.parametrize("content", ["[" * 100_000, '{"kafka": {}, "kafka": {}}', '{"kafka": NaN}', '"\\ud800"'])
def test_objectives_that_are_not_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    (tmp_path / "own.json").write_text(content)
    monkeypatch.setenv(OVERRIDE, str(tmp_path / "own.json"))
    with pytest.raises(UsageError, match=r"which cannot be read|not an object") as caught:
        load_objectives()
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": 5},
        {"nodes": [{**LAB_SEED["nodes"][0], "argv": "false"}]},
        {"nodes": [{**LAB_SEED["nodes"][0], "id": "1"}]},
        {"nodes": [{**LAB_SEED["nodes"][0], "env": {"A": 1}}]},
        {"nodes": [{**LAB_SEED["nodes"][0], "process": {"pid": "../1", "start_ticks": 4}}]},
        {"owner": {"pid": True, "start_ticks": 1}},
        {"options": []},
    ],
    ids=str,
)
def test_a_lab_whose_state_is_of_other_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = nodes.cluster_dir("kafka") / "lab.json"
    path.write_text(json.dumps(LAB_SEED))
    assert nodes.load("kafka") is not None
    path.write_text(json.dumps({**LAB_SEED, **change}))
    with pytest.raises(UnavailableError, match="damaged, or of another version"):
        nodes.load("kafka")
    path.write_text("[" * 100_000)
    with pytest.raises(UnavailableError, match="nested too deeply"):
        nodes.load("kafka")


@pytest.mark.parametrize("phase", [{"begin": 10**400}, {"begin": 1e300}, {"begin": True}, {"name": 5}])
def test_a_summary_whose_phases_cannot_be_drawn(tmp_path: Path, phase: dict[str, object]) -> None:
    write_record(tmp_path / "record")
    judgement = judge(read_record(tmp_path / "record"), LIMITS, PARAMETERS)
    texts = dict.fromkeys(("drill_id", "service", "kind", "title", "started_at"), "x")
    summary = {**texts, "objectives": [], "phases": [{"name": "n", "begin": 0, "end": 1, **phase}]}
    with pytest.raises(DrillError, match="this is no summary of a drill"):
        drill_of(summary, judgement)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"objectives": [], "objectives": []}', '{"title": "\\ud800"}'])
def test_a_summary_that_is_not_clear(tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.json").write_text(content)
    done = CliRunner().invoke(drills, ["report", os.fspath(tmp_path)])
    assert done.exit_code == 64
    assert "is damaged: " in done.stderr
