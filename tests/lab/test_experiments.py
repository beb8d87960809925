"""Every shipped experiment on Kafka, run as a user runs it, on real brokers; what it says is proven by other means.

Where they do not run as shipped (`tests.lab.shipped`), their labs are quick to notice a dead broker.
"""

import statistics
import struct
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from chaosdrills.core.history import NS, Outcome
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle
from tests.conftest import free_base_port
from tests.drills.chaos import SHORT, Experiment, Run, control
from tests.lab.shipped import FULL, Labs, Reached, RunIt, about, acks_between, actual, experiments_of, mark_ns, running

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

QUICK = {"broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500}
PAUSE_S = 6
SESSION_S = 7  # of a consumer, which brokers bound below by 6 s
EXPERIMENTS = experiments_of("kafka")
TRUNCATED = "one producer"  # the check that fails where an idempotent producer finds the log shorter than it was
LOSSY = ("kafka-unclean-election", "kafka-unsafe-acks")


def _start(options: dict[str, Any]) -> Reached:
    asked = {**options, "settings": {**QUICK, **options.get("settings", {})}, "base_port": free_base_port()}
    return lifecycle.up("kafka", asked, owner=this_process()).endpoint, {}


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    made = Labs(tmp_path_factory.mktemp("experiments"), _start)
    yield made
    made.end()


@pytest.fixture
def run(labs: Labs) -> Iterator[RunIt]:
    """Runs an experiment to its end; afterwards nothing of it may be left."""
    with running(labs, EXPERIMENTS, _prepare) as to_its_end:
        yield to_its_end


def _prepare(name: str, described: Experiment) -> None:
    if name in LOSSY:
        control(described)["workload_arguments"]["keep_topic"] = True
    if not FULL:
        _shorten(described)


def _shorten(described: Experiment) -> None:
    arguments = control(described)
    arguments["parameters"] = {**SHORT, **arguments.get("parameters", {})}
    arguments["baseline_timeout_s"] = 120
    described["configuration"]["rate_per_s"] = 80
    shorter = {"seconds": PAUSE_S, "session_timeout_s": SESSION_S}
    described["configuration"] |= {name: shorter[name] for name in shorter.keys() & described["configuration"].keys()}


def held(described: Run) -> None:
    """What every whole drill shows, met or missed."""
    name = described.folder.name
    expected = about(EXPERIMENTS[name])["expected"]
    assert described.line("Verdict") == expected, described.log
    assert described.status == (0 if expected == "met" else 1)
    assert described.summary == described.journal["chaosdrills"]
    failed = {check["name"] for check in described.summary["checks"] if not check["ok"]}
    assert failed - {TRUNCATED} == (set() if expected == "met" else {"steady state"})
    assert TRUNCATED not in failed or name == "kafka-unclean-election"
    marks = described.marks()
    assert marks.count("fault_begin") == marks.count("fault_end") > 0
    assert marks.count("heal_begin") == marks.count("heal_end") > 0
    assert len(described.history.finals) == EXPERIMENTS[name]["configuration"]["partitions"]


def seconds(described: Run) -> float:
    """How long the experiment waits between fault and heal."""
    found = EXPERIMENTS[described.folder.name]["configuration"]["seconds"] if FULL else PAUSE_S
    return float(found)


def log_of(endpoint: str, topic: str) -> list[int]:
    """The seqs in partition 0 of `topic`, in its order, by a consumer that knows nothing of ours."""
    consumer = Consumer({"bootstrap.servers": endpoint, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.assign([TopicPartition(topic, 0, 0)])
        payloads: list[bytes | None] = []
        position = 0
        while position < end:
            messages = consumer.consume(1000, timeout=10)
            assert messages, f"only {position} of {end} offsets can be read"
            good = [message for message in messages if message.error() is None]
            payloads += [message.value() for message in good]
            position = max(position, *(message.offset() + 1 for message in good))
    finally:
        consumer.close()
    seqs = []
    for payload in filter(None, payloads):
        seq, checksum = struct.unpack(">QI", payload[-12:])
        assert payload[:4] == b"CDK1"
        assert zlib.crc32(payload[:-4]) == checksum
        seqs.append(seq)
    return seqs


def test_a_test_here_runs_every_shipped_experiment() -> None:
    source = Path(__file__).read_text()
    assert [name for name in EXPERIMENTS if f'run("{name}")' not in source and name not in LOSSY] == []


def test_broker_loss(run: RunIt) -> None:
    done = run("kafka-broker-loss")
    held(done)
    assert actual(done) > 0
    assert done.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]


def test_broker_stop(run: RunIt) -> None:
    held(run("kafka-broker-stop"))


def test_a_paused_leader_under_a_watchful_and_a_plain_client(run: RunIt) -> None:
    watchful, plain = run("kafka-broker-pause"), run("kafka-broker-pause-plain-client")
    held(watchful)
    held(plain)
    assert actual(watchful) > 0
    slept_s = (mark_ns(watchful, "heal_begin") - mark_ns(watchful, "fault_begin")) / NS
    assert slept_s > actual(watchful), "the cluster recovered before the old leader woke up"
    assert actual(plain) >= seconds(plain), "the whole pause is an outage"


def test_follower_loss(run: RunIt) -> None:
    done = run("kafka-follower-loss")
    held(done)
    assert actual(done) > 0, "a dead replica counts as in sync until its session has timed out"


def test_follower_stop(run: RunIt) -> None:
    done = run("kafka-follower-stop")
    held(done)
    assert actual(done) == 0, "there is no dip"


def test_controller_loss(run: RunIt) -> None:
    held(run("kafka-controller-loss"))


def test_two_brokers_loss(run: RunIt) -> None:
    done = run("kafka-two-brokers-loss")
    held(done)
    assert actual(done) >= seconds(done)
    assert acks_between(done, mark_ns(done, "fault_end"), mark_ns(done, "heal_begin")) == 0, (
        "writes stop, and do not lie"
    )


def test_rolling_restart(run: RunIt) -> None:
    done = run("kafka-rolling-restart")
    held(done)
    assert done.marks().count("fault_begin") == 3


def test_consumer_loss(run: RunIt) -> None:
    done = run("kafka-consumer-loss")
    held(done)
    assert actual(done, "freshness") > 0, "nobody read what the lost member had"
    assert actual(done, "rto") < actual(done, "freshness"), "writers do not notice"


def test_broker_isolation(run: RunIt) -> None:
    done = run("kafka-broker-isolation")
    held(done)
    assert actual(done) > 0


def test_slow_broker(run: RunIt) -> None:
    done = run("kafka-slow-broker")
    held(done)
    writes, (begin, end) = done.history.writes, (mark_ns(done, "fault_end"), mark_ns(done, "heal_begin"))
    took_ms = (writes.completed_ns - writes.invoked_ns) / 1e6
    slowed = (writes.invoked_ns > begin) & (writes.invoked_ns < end - 2 * NS)
    slowest = max(
        statistics.median(took_ms[slowed & (writes.stream == stream)].tolist())
        for stream in range(len(done.history.streams))
    )
    assert slowest >= EXPERIMENTS["kafka-slow-broker"]["configuration"]["latency_ms"]


@pytest.mark.parametrize("name", LOSSY)
def test_what_is_lost_is_told_to_the_record(run: RunIt, name: str) -> None:
    done = run(name)
    held(done)
    if FULL:
        return  # its lab has ended, and the log with it
    loss, writes = done.summary["loss"], done.history.writes
    seqs = log_of(done.place.endpoint, done.summary["environment"]["topic"])
    acknowledged = set(writes.seq[writes.outcome == Outcome.OK].tolist())
    others = set(writes.seq[writes.outcome != Outcome.OK].tolist())
    assert len(acknowledged - set(seqs)) > 0
    assert loss["lost"] == len(acknowledged - set(seqs))
    assert loss["recovered"] == len(others & set(seqs))
    assert loss["duplicated"] == len(seqs) - len(set(seqs))
    judged = {one["name"]: one["verdict"] for one in done.summary["objectives"]}
    assert judged == {"rto": "met", "rpo": "met", "max_lost": "missed"}
