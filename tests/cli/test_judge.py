"""`judge`: every parameter is an option, and what is not given is the service's own."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chaosdrills.cli.main import drills
from chaosdrills.core.parameters import Parameters
from tests.cli import histories

GIVEN: dict[str, Any] = {
    "stable_s": 4.5,
    "recovered_ratio": 0.8,
    "slow_s": 2.5,
    "gap_s": 0.75,
    "baseline_s": 8.0,
    "watch_s": 9.0,
    "fresh_s": 3.5,
    "recovery": "healed",
}


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOSDRILLS_OBJECTIVES", raising=False)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """2 s of outage and three lost records."""
    return histories.write(tmp_path / "h.jsonl", lost=3)


def run(path: Path, *options: str) -> Result:
    return CliRunner().invoke(drills, ["judge", str(path), *options])


def judged(path: Path, *options: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(run(path, *options, "--json").stdout)
    return result


def test_every_parameter_is_an_option_and_has_its_default(history: Path) -> None:
    names = [field.name for field in fields(Parameters)]
    assert sorted(GIVEN) == sorted(names)
    found = judged(history)["parameters"]
    assert {name: found[name] for name in names} == Parameters().as_dict()
    said = " ".join(run(history, "--help").output.split())
    for field in fields(Parameters):
        default = field.default if isinstance(field.default, str) else f"{field.default:g}"
        assert re.search(rf"--{field.name.replace('_', '-')} [^-].*?\[default: {re.escape(default)}\]", said), (
            field.name
        )


@pytest.mark.parametrize("name", list(GIVEN))
def test_a_parameter_that_is_given_is_used_and_the_others_stay(history: Path, name: str) -> None:
    value = GIVEN[name]
    found = judged(history, f"--{name.replace('_', '-')}", str(value))["parameters"]
    expected = {**Parameters().as_dict(), name: value}
    assert {each: found[each] for each in expected} == expected


def test_an_option_changes_what_is_measured(history: Path) -> None:
    assert judged(history)["outages"] == [[19.91, 22.0]]
    assert judged(history, "--gap-s", "3")["outages"] == []
    assert judged(history)["parameters"]["fresh"] is False
    assert judged(history, "--fresh-s", "3")["parameters"]["fresh"] is True


KAFKA = {"rto_s": 600, "rpo_s": 900, "max_lost": 0}


@pytest.mark.parametrize(
    ("options", "limits", "status"),
    [
        ([], KAFKA, 1),
        (["--rto", "60"], {**KAFKA, "rto_s": 60}, 1),
        (["--rpo", "60"], {**KAFKA, "rpo_s": 60}, 1),
        (["--max-lost", "3"], {**KAFKA, "max_lost": 3}, 0),
        (["--max-lost", "2"], {**KAFKA, "max_lost": 2}, 1),
        (["--rto", "60", "--rpo", "60"], {"rto_s": 60, "rpo_s": 60, "max_lost": None}, 0),
        (["--rto", "60", "--rpo", "0"], {"rto_s": 60, "rpo_s": 0, "max_lost": 0}, 1),
        (["--rto", "1", "--rpo", "60"], {"rto_s": 1, "rpo_s": 60, "max_lost": None}, 1),
        (["--rto", "2.2", "--rpo", "60"], {"rto_s": 2.2, "rpo_s": 60, "max_lost": None}, 2),
    ],
)
def test_what_is_not_given_is_the_services_own(
    history: Path, options: list[str], limits: dict[str, Any], status: int
) -> None:
    result = run(history, *options, "--json")
    found = json.loads(result.stdout)
    assert {name: found["parameters"][name] for name in limits} == limits
    assert result.exit_code == status, result.output
    assert found["verdict"] == ("met", "missed", "unknown")[status]


def test_the_users_objectives_go_over_the_shipped_ones(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.json").write_text('{"kafka": {"rto_s": 5, "rpo_s": 6, "max_lost": 9, "cadence_days": 1}}')
    monkeypatch.setenv("CHAOSDRILLS_OBJECTIVES", str(tmp_path / "own.json"))
    found = judged(history)
    assert (found["verdict"], found["parameters"]["rto_s"], found["parameters"]["max_lost"]) == ("met", 5, 9)


def test_a_service_without_objectives_needs_both(tmp_path: Path) -> None:
    other = histories.write(tmp_path / "x.jsonl", service="payments")
    refused = run(other, "--rto", "5")
    assert refused.exit_code == 64
    assert refused.stderr == (
        "Error: there are no objectives for the service 'payments'.\nTry: give both --rto and --rpo in seconds.\n"
    )
    assert run(other, "--rto", "5", "--rpo", "5").exit_code == 0


def test_json_is_one_object_and_reasons_are_aside(history: Path) -> None:
    result = run(history, "--json")
    assert list(json.loads(result.stdout))[:3] == ["verdict", "rto_verdict", "rpo_verdict"]
    assert result.stderr == "missed: 3 acknowledged records are lost, 0 are allowed.\n"


def test_a_check_of_the_drill_that_failed_is_told_beside_the_record(tmp_path: Path) -> None:
    path = histories.write(tmp_path / "record", lost=0)
    assert run(path).stderr == ""
    checks = [
        {"name": name, "ok": name == "drained", "detail": "seen"} for name in ("drained", "one primary at a time")
    ]
    (tmp_path / "summary.json").write_text(json.dumps({"objectives": [], "checks": checks}))
    told = "Warning: the drill itself was not met, its check 'one primary at a time' failed: seen\n"
    for named in (path, tmp_path):
        assert (run(named).stderr, run(named).exit_code) == (told, 0)
    assert run(histories.write(tmp_path / "other.jsonl", lost=0)).stderr == ""
    (tmp_path / "summary.json").write_text("{}")
    assert run(path).stderr == ""


def test_plainly_every_figure_has_a_line(history: Path) -> None:
    result = run(history)
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert {*judged(history)} <= {*lines}
    assert (lines["rto_actual_s"], lines["lost"], lines["stale"]) == ("2.0", "3", "not measured")
    assert lines["missed"] == "3 acknowledged records are lost, 0 are allowed."
    assert result.stderr == ""


def test_a_polled_endpoint_is_judged_where_a_limit_is_given(tmp_path: Path) -> None:
    lines = histories.lines()
    for index in range(600):
        outcome = "failed" if 200 <= index < 230 else "ok"
        at_s = index / 10
        one = {"kind": "poll", "stream": "app", "invoked_s": at_s, "completed_s": at_s + 0.01, "outcome": outcome}
        lines.append(one)
    path = tmp_path / "h.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = judged(path)
    assert (found["verdict"], found["unavailable_s"], found["unavailable_resolution_s"]) == ("met", 3.0, 0.1)
    assert "unavailable_verdict" not in found
    for limit, verdict, status in (("3.1", "met", 0), ("3", "unknown", 2), ("2.9", "missed", 1)):
        result = run(path, "--max-unavailable-s", limit, "--json")
        found = json.loads(result.stdout)
        assert (found["unavailable_verdict"], found["verdict"], result.exit_code) == (verdict, verdict, status)
        assert "the endpoint app was unavailable for 3.000 s" in result.stderr
