"""`list` and `experiments list`: one catalogue, in lines and as JSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chaosdrills.cli.list import age
from chaosdrills.cli.main import drills
from chaosdrills.gameday.catalogue import shipped

LOSS = "kafka-broker-loss"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(drills, list(arguments))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(days_ago: float, verdict: str) -> str:
    """A run of the broker loss, as its summary remembers it; its folder."""
    folder = Path("journals") / f"{datetime.now(UTC) - timedelta(days=days_ago):%Y%m%dT%H%M%SZ}-{LOSS}"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"verdict": verdict}))
    return str(folder)


def test_what_is_said_of_each() -> None:
    run("experiments", "copy", "experiments")
    ran(9, "missed")
    folder = ran(3, "met")
    done = run("list")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    at = lines.index(f"{LOSS}: {json.loads(shipped()[f'{LOSS}.json'])['title']}")
    assert lines[at + 1].startswith("  hits:  kill -9 of the broker that leads")
    assert lines[at + 2 : at + 6] == [
        "  takes: about 2 min",
        "  needs: the lab, or a Kafka cluster of your own",
        f"  last:  met, 3 days ago, {folder}",
        f"  run:   chaos run experiments/{LOSS}.json",
    ]
    assert "  last:  never run from here" in lines
    at = next(number for number, line in enumerate(lines) if line.startswith("timescaledb-async-loss: "))
    assert lines[at + 4] == "  ends:  missed, which is what it shows"


def test_as_json_with_what_it_does_not_say_null_and_broken_files_named(here: Path) -> None:
    folder = ran(0, "unknown")
    Path("mine").mkdir()
    Path("mine/bare.json").write_text('{"title": "Bare", "method": []}')
    Path("mine/broken.json").write_text("{")
    done = run("list", "mine", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    named = {one["name"]: one for one in told["experiments"]}
    assert set(named) == {"bare", *(name.removesuffix(".json") for name in shipped())}
    assert named["bare"] == {
        "name": "bare", "path": "mine/bare.json", "shipped": False, "title": "Bare", "hits": "", "minutes": None,
        "needs": [], "run_slug": "bare", "expected": "", "last": None,
    }  # fmt: skip
    last = named[LOSS]["last"]
    assert (last["verdict"], last["folder"], last["age_s"] < 600) == ("unknown", folder, True)
    assert told["broken"] == [
        {"path": "mine/broken.json", "why": "it is not JSON: Expecting property name enclosed in double quotes: "
         "line 1 column 2 (char 1)"}
    ]  # fmt: skip
    plain = run("list", "mine")
    assert plain.exit_code == 0
    assert [line for line in plain.stderr.splitlines() if line.startswith("mine/broken.json: it is not JSON: ")]
    assert "  hits:  it does not say" in plain.stdout.splitlines()


def test_the_shipped_ones_alone_say_the_same() -> None:
    everywhere, shipped_only = run("list", "--json"), run("experiments", "list", "--json")
    assert json.loads(everywhere.stdout) == json.loads(shipped_only.stdout)
    Path("experiments").mkdir()
    Path("experiments/mine.json").write_text('{"title": "Mine", "method": []}')
    assert "mine: Mine" in run("list").stdout
    assert "mine: Mine" not in run("experiments", "list").stdout


def test_a_folder_that_is_not_there() -> None:
    assert run("list", "nowhere").exit_code == 64


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "just now"), (59, "just now"), (60, "1 minute ago"), (7199, "1 hour ago"), (86_400 * 3, "3 days ago")],
)
def test_ages(seconds: float, shown: str) -> None:
    assert age(seconds) == shown
