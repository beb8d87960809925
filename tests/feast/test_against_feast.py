"""The layout and real Feast, both ways: we read what Feast writes, and Feast serves what we write."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.feast.environment import Environment
from chaosdrills.feast.layout import asked, entities_of, fields_of, row_key, row_of
from chaosdrills.feast.registry import FeatureView, views_of
from chaosdrills.feast.settings import Settings
from chaosdrills.feast.wire import (
    BOOL,
    BYTES,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    UNIX_TIMESTAMP,
    Value,
)
from chaosdrills.lab.feast_repository import PROJECT
from chaosdrills.redis.client import Session
from chaosdrills.redis.url import Login
from tests.redis.servers import Process

pytestmark = pytest.mark.lab

ASK_S = 5.0
SCRIPT = Path(__file__).with_name("with_feast.py")
AT_NS = 1_800_000_000_250_000_000
SCALARS = {
    "a_bool": Value(BOOL, True),
    "a_bytes": Value(BYTES, b"\x00\x01\xff"),
    "a_float": Value(FLOAT, -2.25),
    "a_double": Value(DOUBLE, 1.5),
    "an_int32": Value(INT32, -7),
    "an_int64": Value(INT64, 1 << 40),
    "a_string": Value(STRING, "é"),
    "an_instant": Value(UNIX_TIMESTAMP, 1_700_000_000),
    "nothing": Value(),
}
ROW, PAIR = {"row": Value(STRING, "rów")}, {"row": Value(STRING, "r"), "city": Value(INT64, -2)}


@pytest.fixture(scope="module")
def written(feast: Environment, repository: Path) -> Path:
    """The repository, after Feast has written to its store."""
    done = feast.run([str(SCRIPT), "write"], repository)
    assert done.returncode == 0, done.stderr
    return repository


def do(valkey: Process, *words: str | bytes) -> Any:
    """What it answers to a command."""
    session = Session(valkey.address, Login(), "test", ASK_S)
    try:
        return session.do(*words, timeout_s=ASK_S)
    finally:
        session.close()


def held(valkey: Process, entities: dict[str, Value], view: str, features: list[str]) -> Any:
    return row_of(do(valkey, "HMGET", row_key(PROJECT, entities), *asked(view, features)))


def put(valkey: Process, entities: dict[str, Value], view: str, features: dict[str, Value]) -> None:
    words = [word for field in fields_of(view, features, AT_NS).items() for word in field]
    do(valkey, "HSET", row_key(PROJECT, entities), *words)


def served(feast: Environment, folder: Path, rows: list[dict[str, Any]], features: list[str]) -> dict[str, Any]:
    """What Feast serves of these features, for one row: value, kind, event time and status of each."""
    given = json.dumps({"features": features, "rows": rows})
    argv = feast.argv(str(SCRIPT), "read")
    done = subprocess.run(argv, cwd=folder, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_feast_writes_is_read(written: Path, valkey: Process) -> None:
    found = held(valkey, ROW, "scalars", list(SCALARS))
    assert dict(zip(SCALARS, found.values, strict=True)) == SCALARS
    assert (found.event_ns, found.is_served) == (AT_NS, False), "one of them has no value"
    assert held(valkey, ROW, "scalars", ["an_int64"]).is_served
    assert held(valkey, PAIR, "pairs", ["count"]).values == (Value(INT64, 3),)
    keys = [entities_of(PROJECT, key) for key in do(valkey, "KEYS", "*")]
    assert [key for key in (ROW, PAIR) if key not in keys] == []


def test_what_is_written_is_what_feast_would_write(written: Path, valkey: Process) -> None:
    by_feast = do(valkey, "HGETALL", row_key(PROJECT, ROW))
    do(valkey, "DEL", row_key(PROJECT, ROW))
    put(valkey, ROW, "scalars", SCALARS)
    assert sorted(do(valkey, "HGETALL", row_key(PROJECT, ROW))) == sorted(by_feast)


def test_what_is_written_is_served_by_feast(feast: Environment, written: Path, valkey: Process) -> None:
    ours, many = {"row": Value(STRING, "ours"), "city": Value(INT64, 9)}, {"row": Value(STRING, "ours")}
    put(valkey, many, "scalars", SCALARS)
    put(valkey, ours, "pairs", {"count": Value(INT64, 300)})
    features = [*(f"scalars:{name}" for name in SCALARS), "pairs:count"]
    found = served(feast, written, [{"row": "ours", "city": 9}], features)
    expected = {name: value.held for name, value in SCALARS.items()} | {"count": 300}
    assert {name: found[name]["value"] for name in expected} == {
        name: None if held is None else repr(held) for name, held in expected.items()
    }
    assert {found[name]["at_ns"] for name in expected} == {AT_NS}


def test_what_is_gone_is_present_for_feast_and_not_served_for_us(
    feast: Environment, written: Path, valkey: Process
) -> None:
    gone = {"row": Value(STRING, "gone")}
    put(valkey, gone, "scalars", {"an_int64": Value(INT64, 1)})
    assert held(valkey, gone, "scalars", ["an_int64"]).is_served
    do(valkey, "DEL", row_key(PROJECT, gone))
    found = served(feast, written, [{"row": "gone"}], ["scalars:an_int64"])["an_int64"]
    assert found == {"value": None, "kind": None, "at_ns": 0, "status": 1}, "1 is PRESENT"
    assert not held(valkey, gone, "scalars", ["an_int64"]).is_served


def test_what_a_registry_holds(feast: Environment, repository: Path, valkey: Process) -> None:
    settings = Settings.of(repository)
    assert (settings.project, settings.redis_url) == (PROJECT, f"redis://{valkey.address}/0")
    views = views_of(settings, feast)
    assert views["driver_stats"] == FeatureView({"driver_id": "INT64"}, {"rating": "FLOAT", "trips": "INT64"}, True)
    assert views["drill_rows"].join_keys == {"drill_row": "STRING"}
    assert [views[name].why_not() for name in ("drill_rows", "driver_stats")] == ["", "its entity is not one string"]


def test_a_registry_without_the_project(feast: Environment, repository: Path, tmp_path: Path) -> None:
    settings = Settings(repository, "another", str(repository / "registry.db"), "redis://127.0.0.1:1")
    with pytest.raises(UsageError, match=r"has no project 'another', but chaosdrills"):
        views_of(settings, feast)


def test_a_registry_that_is_gone_is_not_written(feast: Environment, tmp_path: Path) -> None:
    settings = Settings(tmp_path, PROJECT, str(tmp_path / "registry.db"), "redis://127.0.0.1:1")
    with pytest.raises(UsageError, match="there is no registry at"):
        views_of(settings, feast)
    assert list(tmp_path.iterdir()) == []
