"""The folder of a run: its name, and that what is kept in it names nobody."""

import socket
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.observe.folder import make_folder, scrub_log, shown, without_names

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "alice-b").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "alice-b"))
    monkeypatch.setenv("USER", "alice-b")
    monkeypatch.setenv("LOGNAME", "alice-b")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(socket, "gethostname", lambda: "box-17")
    monkeypatch.chdir(tmp_path / "work")


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    made = [make_folder(tmp_path / "journals", "Kafka: broker LOSS!", NOW).name for _ in range(3)]
    first = "20261123T080000Z-kafka-broker-loss"
    assert made == [first, f"{first}-2", f"{first}-3"]


def test_runs_that_begin_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda number: make_folder(tmp_path / "journals", "x", NOW).name, range(64)))
    assert len(set(made)) == 64
    assert set(made) == {path.name for path in (tmp_path / "journals").iterdir()}


@pytest.mark.parametrize(("name", "slug"), [("", "drill"), ("é/..", "drill"), ("x" * 99, "x" * 60)])
def test_names_that_are_no_file_names(tmp_path: Path, name: str, slug: str) -> None:
    assert make_folder(tmp_path, name, NOW).name == f"20261123T080000Z-{slug}"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "journals").write_text("a file")
    with pytest.raises(UnavailableError, match=r"cannot make the folder .*: Not a directory") as caught:
        make_folder(tmp_path / "journals", "x", NOW)
    assert caught.value.hint == "run from a folder that you may write to."


def test_a_folder_is_shown_as_its_user_sees_it(tmp_path: Path) -> None:
    assert shown(Path("journals/x")) == "journals/x"
    assert shown(tmp_path / "work" / "journals" / "x") == "journals/x"
    assert shown(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")


def scrubbed(text: str, words: str = "") -> Any:
    return without_names(text, words)


def test_paths_and_names_are_taken_out(tmp_path: Path) -> None:
    site = sysconfig.get_path("purelib")
    assert scrubbed(f'File "{site}/chaoslib/run.py", line 1') == 'File "site-packages/chaoslib/run.py", line 1'
    assert scrubbed(f"read {tmp_path}/work/journals/x/observer.log") == "read ./journals/x/observer.log"
    assert scrubbed(f"{tmp_path}/state/chaosdrills/lab/kafka/node-1.log") == "state/chaosdrills/lab/kafka/node-1.log"
    assert scrubbed(f"{tmp_path}/home/alice-b/.cache") == "~/.cache"
    assert scrubbed("alice-b on box-17, box-17:9092") == "user on host, host:9092"


def test_parts_of_words_and_of_paths_stay(tmp_path: Path) -> None:
    for text in ("malice-by box-171 my-box-17", f"data{tmp_path}/work", "./tmp/x", "/tmpfoo", "a/usr/b"):
        assert scrubbed(text) == text


def test_names_that_are_words_of_the_experiment_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "kafka")
    monkeypatch.setattr(socket, "gethostname", lambda: "broker")
    assert scrubbed("kafka lost a broker", '{"title": "Kafka", "service": "kafka", "func": "broker"}') == (
        "kafka lost a broker"
    )
    assert scrubbed("kafka lost a broker") == "user lost a host"


def test_generic_names_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "root")
    assert scrubbed("the root of it, by localhost") == "the root of it, by localhost"


def test_all_of_a_journal_is_looked_at() -> None:
    journal = {"box-17": ["alice-b", {"n": 1, "x": None, "y": True, "z": ("box-17",)}]}
    assert without_names(journal) == {"box-17": ["user", {"n": 1, "x": None, "y": True, "z": ["host"]}]}


@pytest.mark.parametrize("word", ["record", "met", "lost", "rto", "why", "checks", "succeeded", "journal", "healed"])
def test_a_host_that_is_called_as_a_word_of_ours_renames_nothing(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, and the values that programs read, are no free text."""
    monkeypatch.setattr(socket, "gethostname", lambda: word)
    summary = {
        "verdict": "met",
        "objectives": [{"name": "rto", "unit": "s", "verdict": "met"}, {"name": "max_lost"}],
        "checks": [{"name": "record", "ok": True}],
        "loss": {"lost": 0, "examples": {"lost": []}},
        "evidence": ["journal.json", "record"],
        "parameters": {"recovery": "healed"},
        "run": [{"status": "succeeded"}],
    }
    assert without_names(summary) == summary
    assert without_names({"why": [f"on {word}"]}) == {"why": ["on host"]}


def test_the_observers_log_is_cleaned_in_place(tmp_path: Path) -> None:
    log = tmp_path / "observer.log"
    log.write_text(f"by alice-b\nFile {tmp_path}/work/x.py\n")
    scrub_log(tmp_path, "")
    assert log.read_text() == "by user\nFile ./x.py\n"
    scrub_log(tmp_path / "nowhere", "")
