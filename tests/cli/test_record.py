"""`record show` and `record export`, on a real record."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chaosdrills.cli.main import drills
from tests.observe.drills import write_record


@pytest.fixture
def record(tmp_path: Path) -> Path:
    write_record(tmp_path / "record", outage=(10, 13), lost=2)
    return tmp_path / "record"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(drills, [str(argument) for argument in arguments])


def test_an_export_is_judged_as_the_record_is(record: Path, tmp_path: Path) -> None:
    assert run("record", "export", record, "-o", tmp_path / "h.jsonl").exit_code == 0
    assert run("record", "export", tmp_path).stdout == (tmp_path / "h.jsonl").read_text()
    judged = [run("judge", path, "--json").stdout for path in (record, tmp_path, tmp_path / "h.jsonl")]
    assert judged[0] == judged[1] == judged[2]
    assert json.loads(judged[0])["lost"] == 2


@pytest.mark.parametrize("named", ["the file", "its folder", "a link"])
def test_an_export_never_replaces_the_record(record: Path, tmp_path: Path, named: str) -> None:
    (tmp_path / "link").symlink_to(record)
    kept = record.read_bytes()
    source = {"the file": record, "its folder": tmp_path, "a link": tmp_path / "link"}[named]
    refused = run("record", "export", source, "-o", record)
    assert (refused.exit_code, record.read_bytes()) == (64, kept)
    assert "is the record itself" in refused.stderr


def test_show(record: Path, tmp_path: Path) -> None:
    facts = json.loads(run("record", "show", tmp_path, "--json").stdout)
    assert facts["writes"] == {"total": 600, "ok": 600, "failed": 0, "unknown": 0}
    assert (facts["streams"], facts["ended"], facts["bytes"]) == (["a", "b"], True, record.stat().st_size)
    plain = run("record", "show", record).stdout
    assert [line.split(": ")[0] for line in plain.splitlines()] == list(facts)


def test_a_torn_record_is_read_as_far_as_it_goes_with_a_warning(record: Path) -> None:
    record.write_bytes(record.read_bytes()[:-5])
    for arguments in (("judge", record), ("record", "export", record)):
        result = run(*arguments)
        assert result.stderr.startswith("Warning: "), arguments
    assert run("judge", record).exit_code == 1
