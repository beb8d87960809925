"""`new`: what it writes is valid for the Chaos Toolkit, overwrites nothing unasked, and asks on a terminal."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid
from click.testing import CliRunner, Result

from chaosdrills.cli.main import drills
from chaosdrills.gameday.drafting_subjects import REDIS, TIMESCALEDB
from chaosdrills.host.settings import load_objectives
from chaosdrills.kafka.roles import ROLES
from chaosdrills.observe.tolerances import limits_of

BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    return tmp_path


def new(*arguments: str) -> Result:
    return CliRunner().invoke(drills, ["new", *arguments])


def read(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(Path(name).read_bytes())
    return made


def test_the_defaults_are_the_objectives() -> None:
    done = new()
    name = "kafka-kill-leader.json"
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, f"{name} is written.")
    limits, objective = limits_of(read(name)), load_objectives()["kafka"]
    assert (limits.rto_s, limits.rpo_s, limits.max_lost) == (objective.rto_s, objective.rpo_s, objective.max_lost)


def test_what_the_objectives_do_not_judge_is_not_judged(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own.json").write_text('{"kafka": {"max_lost": null}}')
    monkeypatch.setenv("CHAOSDRILLS_OBJECTIVES", str(here / "own.json"))
    assert new().exit_code == 0
    assert limits_of(read("kafka-kill-leader.json")).max_lost is None


def test_what_it_writes_is_valid(here: Path) -> None:
    """All in one process of `chaos`, whose start takes longest."""
    written = []
    for role in ROLES:
        options = ["--role", role, "--rate", "50", "--rto", "60", "--partitions", "2", "-o", f"{role}.json"]
        assert new(*options, *(["--broker-id", "2"] if role == "id" else [])).exit_code == 0
        written.append(f"{role}.json")
    check = "import sys; from chaostoolkit.__main__ import cli; cli()"
    for name in written:
        done = subprocess.run(
            [sys.executable, "-c", check, "--no-version-check", "--no-log-file", "validate", name],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_fault_and_role_on_postgresql_is_valid(here: Path) -> None:
    written = []
    for fault in TIMESCALEDB.faults():
        done = new("--service", "timescaledb", "--fault", fault, "--connections", "2")
        assert done.exit_code == 0, done.stderr
        written.append(done.stdout.split()[0])
    assert "timescaledb-kill-primary.json" in written
    limits = limits_of(read("timescaledb-kill-primary.json"))
    assert (limits.rto_s, limits.rpo_s, limits.max_lost, limits.max_unavailable_s) == (900, 86_400, 0, 900)
    assert "timescaledb-switch-over.json" in written
    assert "timescaledb-reinitialise-replica-replica.json" in written
    for role in TIMESCALEDB.roles:
        options = ["--service", "timescaledb", "--role", role, "-o", f"{role}.json"]
        assert new(*options, *(["--node-id", "2"] if role == "id" else [])).exit_code == 0
        written.append(f"{role}.json")
    for name in written:
        ensure_experiment_is_valid(read(name))


def test_a_draft_on_postgresql_for_a_cluster_of_the_users_own(here: Path) -> None:
    dsn = "postgresql://drill@db-1:5432,db-2:5432/orders?sslmode=verify-full"
    assert new("--service", "timescaledb", "--dsn", dsn, "-o", "own.json").exit_code == 0
    assert read("own.json")["configuration"]["timescaledb_dsn"]["default"] == dsn
    for wrong, why in (
        (dsn.replace("drill@", "drill:hush@"), "--dsn holds a password."),
        (f"{dsn}&password=hush", "--dsn holds a password."),
        (f"{dsn}&sslpassword=hush", "--dsn holds a password."),
        ("db-1:5432 and so on", "cannot be understood"),
    ):
        refused = new("--service", "timescaledb", "--dsn", wrong, "-o", "wrong.json")
        assert (refused.exit_code, "hush" in refused.stderr) == (64, False)
        assert why in refused.stderr
    assert not Path("wrong.json").exists()


def test_every_fault_and_role_on_redis_is_valid(here: Path) -> None:
    for fault in REDIS.faults():
        done = new("--service", "redis", "--fault", fault, "--connections", "2")
        assert done.exit_code == 0, done.stderr
        ensure_experiment_is_valid(read(done.stdout.split()[0]))
    for role in REDIS.roles:
        options = ["--service", "redis", "--role", role, "-o", f"{role}.json"]
        assert new(*options, *(["--node-id", "2"] if role == "id" else [])).exit_code == 0
        ensure_experiment_is_valid(read(f"{role}.json"))
    limits = limits_of(read("redis-kill-primary.json"))
    assert (limits.rto_s, limits.rpo_s, limits.max_lost) == (600, 3600, None)
    assert new("--service", "redis", "--max-lost", "3", "-o", "strict.json").exit_code == 0
    assert limits_of(read("strict.json")).max_lost == 3


def test_a_draft_on_redis_for_one_of_the_users_own(here: Path) -> None:
    url = "redis+sentinel://drill@db-1,db-2,db-3/orders?passfile=word"
    assert new("--service", "redis", "--url", url, "-o", "own.json").exit_code == 0
    assert read("own.json")["configuration"]["redis_url"]["default"] == url
    for wrong, why in (
        (url.replace("drill@", "drill:hush@"), "--url holds a password."),
        ("redis+sentinel://hush", "names no master"),
    ):
        refused = new("--service", "redis", "--url", wrong, "-o", "wrong.json")
        assert (refused.exit_code, "hush" in refused.stderr) == (64, False)
        assert why in refused.stderr
    assert not Path("wrong.json").exists()


def test_a_file_that_is_there_stays_unless_forced(here: Path) -> None:
    Path("mine.json").write_text("mine")
    refused = new("-o", "mine.json")
    assert (refused.exit_code, Path("mine.json").read_text()) == (64, "mine")
    assert refused.stderr == "Error: mine.json exists.\nTry: name another file with -o, or add --force.\n"
    assert new("-o", "mine.json", "--force").exit_code == 0
    assert read("mine.json")["title"].startswith("Kafka recovers")
    assert new("-o", "no/such/folder/x.json").exit_code == 64


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fault", "melt"],
        ["--role", "king"],
        ["--rate", "nan"],
        ["--rto", "-1"],
        ["--partitions", "0"],
        ["--argument", "seed"],
        ["--connections", "3"],
        ["--service", "timescaledb", "--topic", "t"],
        ["--service", "redis", "--partitions", "2"],
        ["--service", "redis", "--fault", "fail_over", "--role", "replica"],
        ["--service", "timescaledb", "--role", "leader"],
        ["--service", "timescaledb", "--fault", "slowly"],
        ["--service", "timescaledb", "--role", "id"],
        ["--service", "timescaledb", "--fault", "switch_over", "--role", "replica"],
        ["--argument", "sed=5"],
        ["--inject", "stop"],
        ["--inject", "'stop", "--heal", "start"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_written(arguments: list[str], here: Path) -> None:
    done = new(*arguments)
    assert done.exit_code == 64
    assert list(here.iterdir()) == []


def test_on_a_terminal_it_asks_for_what_no_option_gives(here: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [BIN / "chaosdrills", "new", "--fault", "kill", "--rate", "75", "-o", "asked.json"],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        os.write(ours, b"controller\norders\n4\n\n")
        said, _ = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 0, said
    assert "What is done" not in said
    assert "How many writes a second" not in said
    made = read("asked.json")
    arguments = next(it["provider"]["arguments"] for it in made["controls"] if it["name"] == "observe")
    workload = arguments["workload_arguments"]
    assert (arguments["rate_per_s"], workload["topic"], workload["partitions"]) == (75, "orders", 4)
    assert made["method"][0]["provider"]["arguments"] == {"role": "controller"}
