"""Drills that cannot be: each ends with one clear error and its next step, before anything was injected.

All runs of this file are started together, since most of their time is spent in starting.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from chaosdrills.kafka.client import Admin, Connection
from tests.drills.chaos import REPOSITORY, Experiment, Place, Run, control, experiment, with_foreign_fault
from tests.drills.conftest import LabFor
from tests.drills.services import KAFKA, TIMESCALEDB, Service

pytestmark = pytest.mark.lab

TAKEN = "a-topic-with-other-settings"
SECRET = "never-to-be-seen"
PROPERTIES = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=drill\nsasl.password=env:PASSWORD\n"


@dataclass
class Case:
    """A run, and what its first error must say: why, and what to do."""

    described: Experiment
    why: str
    hint: str
    options: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    observed: bool = True
    service: Service = KAFKA


def no_such_address() -> Case:
    why = (
        "no Kafka broker answers at 127.0.0.1:1 within 10 s. The last trouble: 127.0.0.1:1/bootstrap: "
        "Connect to ipv4#127.0.0.1:1 failed: Connection refused."
    )
    return Case(
        experiment(), why, "check the address (bootstrap_servers)", env={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    )


def another_topic() -> Case:
    why = f"the topic {TAKEN} exists with"
    return Case(experiment(topic=TAKEN), why, "topic")


def too_few_brokers() -> Case:
    why = "replication_factor is 5, the cluster has 3 brokers."
    return Case(experiment(replication_factor=5), why, "start more brokers, or lower replication_factor")


def nobody_knows_us(folder: Any) -> Case:
    (folder / "sasl.properties").write_text(PROPERTIES)
    env = {"KAFKA_PROPERTIES_FILE": str(folder / "sasl.properties"), "PASSWORD": SECRET}
    return Case(experiment(), "do not accept who we are", "sasl.mechanism", env=env)


def no_driver(folder: Any) -> Case:
    (folder / "broken" / "confluent_kafka").mkdir(parents=True)
    text = "raise ImportError(\"No module named 'confluent_kafka'\")\n"
    (folder / "broken" / "confluent_kafka" / "__init__.py").write_text(text)
    why = "the Kafka driver is not installed: No module named 'confluent_kafka'."
    hint = "run pip install 'chaosdrills[kafka]'."
    env = {"PYTHONPATH": f"{folder / 'broken'}:{REPOSITORY}"}
    return Case(experiment(), why, hint, env=env, observed=False)


def no_driver_unvalidated(folder: Any) -> Case:
    case = no_driver(folder / "unvalidated")
    return Case(case.described, case.why, case.hint, ("--no-validation",), case.env)


def a_pause_before_the_fault() -> Case:
    described = with_foreign_fault(pauses={"before": 5})
    why = 'the fault "somebody else\'s fault" has a pause before it, which would count as recovery time.'
    return Case(described, why, "put the pause after the action before it.", observed=False)


def a_fault_that_is_no_action() -> Case:
    described = experiment()
    control(described)["faults"] = ["kil the leader"]
    why = "the observe control's fault 'kil the leader' is no action of the method."
    return Case(described, why, "name one of its actions.", observed=False)


def no_such_workload() -> Case:
    described = experiment()
    control(described)["workload"] = "chaosdrills.kafka.workload:Workload"
    why = "there is no workload 'chaosdrills.kafka.workload:Workload'"
    return Case(described, why, "as 'module:Class'", observed=False)


def a_timeout_misspelt() -> Case:
    described = experiment()
    control(described)["drain_timeout"] = 5
    why = "the observe control has no argument 'drain_timeout'."
    return Case(described, why, "drain_timeout_s", observed=False)


def a_tolerance_without_a_limit() -> Case:
    described = experiment()
    described["steady-state-hypothesis"]["probes"][2]["tolerance"] = {
        "type": "regex",
        "target": "rto_judged_s",
        "pattern": ".",
    }
    why = "the tolerance of 'recovered within the RTO' is not a range."
    return Case(described, why, '"range": [0, LIMIT]', observed=False)


def dry_probes() -> Case:
    why = "with '--dry probes' faults are injected, and a dry run observes nothing."
    return Case(experiment(), why, "'--dry activities'", ("--dry", "probes"), observed=False)


def dry_pause() -> Case:
    why = "with '--dry pause' faults are injected, and a dry run observes nothing."
    return Case(experiment(), why, "'--dry activities'", ("--dry", "pause"), observed=False)


def dry_actions() -> Case:
    why = "throughput needs a drill that is observed, and none is."
    return Case(experiment(), why, "'--dry activities'", ("--dry", "actions"), observed=False)


def postgresql(why: str, hint: str, dsn: str, **more: Any) -> Case:
    return Case(experiment(TIMESCALEDB), why, hint, env={"TIMESCALEDB_DSN": dsn}, service=TIMESCALEDB, **more)


def no_such_server(lab: Place) -> Case:
    why = "no PostgreSQL server takes writes, 10 s long: 127.0.0.1:1 says: Connection refused"
    return postgresql(why, "check the addresses in the DSN", f"postgresql://drill:{SECRET}@127.0.0.1:1/drill")


def wrong_password(lab: Place) -> Case:
    dsn = f"postgresql://drill:{SECRET}@{lab.endpoint}/drill"
    return postgresql("does not let us in: ", "check user, password, database and sslmode in the DSN", dsn)


def no_such_database(lab: Place) -> Case:
    dsn = lab.way["TIMESCALEDB_DSN"].replace("/drill?", "/nosuch?")
    return postgresql('database "nosuch" does not exist', "check user, password, database", dsn)


def a_broken_dsn(lab: Place) -> Case:
    dsn = f"postgresql://drill:{SECRET}@[half"
    return postgresql("the PostgreSQL connection string (DSN) cannot be understood.", "write it as", dsn)


def no_postgresql_driver(lab: Place, folder: Any) -> Case:
    (folder / "broken" / "psycopg").mkdir(parents=True)
    (folder / "broken" / "psycopg" / "__init__.py").write_text("raise ImportError(\"No module named 'psycopg'\")\n")
    why = "the PostgreSQL driver is not installed: No module named 'psycopg'."
    env = {**lab.way, "PYTHONPATH": f"{folder / 'broken'}:{REPOSITORY}"}
    hint = "run pip install 'chaosdrills[timescaledb]'."
    return Case(experiment(TIMESCALEDB), why, hint, env=env, observed=False, service=TIMESCALEDB)


PLAIN = [
    no_such_address, another_topic, too_few_brokers, a_pause_before_the_fault, a_fault_that_is_no_action,
    no_such_workload, a_timeout_misspelt, a_tolerance_without_a_limit, dry_probes, dry_pause, dry_actions,
]  # fmt: skip
WITH_FILES = [nobody_knows_us, no_driver, no_driver_unvalidated]
POSTGRESQL = [no_such_server, wrong_password, no_such_database, a_broken_dsn]
NAMES = [make.__name__ for make in [*PLAIN, *WITH_FILES, *POSTGRESQL, no_postgresql_driver]]


@pytest.fixture(scope="module")
def started(
    lab: Place, lab_for: LabFor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Case, Run]]]:
    """All cases, under way."""
    folder = tmp_path_factory.mktemp("refused")
    Admin(Connection(lab.endpoint)).create_topic(TAKEN, 2, 3, {}, 30)
    with lab_for(TIMESCALEDB) as timescaledb:
        cases = {make.__name__: make() for make in PLAIN} | {make.__name__: make(folder) for make in WITH_FILES}
        cases |= {make.__name__: make(timescaledb) for make in POSTGRESQL}
        cases["no_postgresql_driver"] = no_postgresql_driver(timescaledb, folder / "postgresql")
        places = {place.service.name: place.at(folder) for place in (lab, timescaledb)}
        runs = {
            name: places[case.service.name].start(case.described, name, *case.options, env=case.env)
            for name, case in cases.items()
        }
        yield {name: (case, runs[name]) for name, case in cases.items()}
        for run in runs.values():
            run.end_all()


@pytest.mark.parametrize("name", NAMES)
def test_one_clear_error_and_nothing_done(started: dict[str, tuple[Case, Run]], name: str) -> None:
    case, run = started[name]
    assert run.end() == 1, run.log
    errors = [line for line in run.log.splitlines() if " ERROR] " in line or " CRITICAL] " in line]
    assert case.why in errors[0], run.log
    assert case.hint in errors[0].partition("Try: ")[2]
    assert "Traceback" not in run.log
    assert f"Action: {case.service.fault}" not in run.log
    assert run.living() == []
    assert (run.folder / "journals").exists() == case.observed
    if case.observed:
        assert run.lines[0] == "Verdict: unknown"
        assert run.lines[3].startswith("Why: ")
        assert case.why.rstrip(".") in run.lines[3]
        assert len(run.lines) == 5
        assert run.journal["status"] == "interrupted"
        assert run.journal["chaosdrills"] == run.summary
        assert not (run.drill / "record").exists() or "fault_begin" not in run.marks()


@pytest.mark.parametrize("name", ["nobody_knows_us", "wrong_password", "a_broken_dsn"])
def test_a_password_is_written_nowhere(started: dict[str, tuple[Case, Run]], name: str) -> None:
    _, run = started[name]
    run.end()
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert [path.name for path in files if SECRET in path.read_text(errors="replace")] == []


def test_a_dry_run_of_all_activities_is_fine_and_leaves_nothing(lab: Place, tmp_path_factory: Any) -> None:
    run = Place(tmp_path_factory.mktemp("dry"), lab.endpoint, lab.state).run(experiment(), "run", "--dry", "activities")
    assert run.status == 0, run.log
    assert run.lines == []
    assert run.journal["status"] == "completed"
    assert "chaosdrills" not in run.journal
    assert run.journal["node"] == ""
    assert not (run.folder / "journals").exists()
