"""The shipped experiments, run as a user runs them, on real brokers; the loss proven by reading the log on its own."""

import json
import os
import struct
import subprocess
import sys
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from chaosdrills.cli.experiments import shipped
from chaosdrills.lab import lifecycle
from tests.conftest import free_base_port

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

CHAOS = Path(sys.executable).with_name("chaos")
DRILLS = Path(sys.executable).with_name("chaosdrills")


class Place:
    """A lab with an experiment's options, in a state folder of its own, and a working folder to run it from."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.experiment: dict[str, Any] = json.loads(shipped()[name])
        options = self.argument("lab").get("options", {})
        self.cluster = lifecycle.up("kafka", {**options, "base_port": free_base_port()})

    def argument(self, control: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            one["provider"]["arguments"] for one in self.experiment["controls"] if one["name"] == control
        )
        return found

    def run(self, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the experiment against this lab as against any cluster: by its address."""
        path = self.folder / "experiment.json"
        path.write_text(json.dumps(self.experiment))
        return subprocess.run(
            [CHAOS, "--no-version-check", "--no-log-file", "run", path],
            cwd=self.folder, env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": self.cluster.endpoint},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def journal(self) -> Path:
        """The folder of the only run."""
        (found,) = (self.folder / "journals").iterdir()
        return found


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Place(tmp_path, request.param)
    try:
        yield made
    finally:
        lifecycle.down("kafka")


def read_log(endpoint: str, topic: str) -> list[int]:
    """The seqs in partition 0 of `topic`, in its order, by a consumer that knows nothing of ours."""
    consumer = Consumer({"bootstrap.servers": endpoint, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.assign([TopicPartition(topic, 0, 0)])
        payloads: list[bytes | None] = []
        while len(payloads) < end:
            messages = consumer.consume(1000, timeout=10)
            assert messages, f"only {len(payloads)} of {end} messages can be read"
            payloads += [message.value() for message in messages if message.error() is None]
    finally:
        consumer.close()
    seqs = []
    for payload in filter(None, payloads):
        seq, checksum = struct.unpack(">QI", payload[-12:])
        assert payload[:4] == b"CDK1"
        assert zlib.crc32(payload[:-4]) == checksum
        seqs.append(seq)
    return seqs


def history_of(folder: Path) -> list[dict[str, Any]]:
    exported = subprocess.run(
        [DRILLS, "record", "export", folder / "record"], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in exported.stdout.splitlines()]


@pytest.mark.parametrize("place", ["kafka-broker-loss.json"], indirect=True)
def test_broker_loss_is_met(place: Place) -> None:
    done = place.run()
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()[-5:]
    assert lines[0] == "Verdict: met"
    assert [line.partition(":")[0] for line in lines] == ["Verdict", "RTO", "Lost", "Why", "Report"]
    folder = place.journal()
    names = {"journal.json", "record", "summary.json", "report.md", "report.html", "observer.log"}
    assert {path.name for path in folder.iterdir()} == names
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == json.loads((folder / "journal.json").read_text())["chaosdrills"]
    assert [(one["name"], one["verdict"]) for one in summary["objectives"]] == [
        ("rto", "met"),
        ("rpo", "met"),
        ("max_lost", "met"),
    ]
    history = history_of(folder)
    marks = [line["name"] for line in history if line["kind"] == "mark"]
    assert marks == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    assert sum(line["kind"] == "final" for line in history) == 6


@pytest.mark.parametrize("place", ["kafka-unsafe-acks.json"], indirect=True)
def test_unsafe_acks_are_missed_with_the_exact_number(place: Place) -> None:
    place.argument("observe")["workload_arguments"]["keep_topic"] = True
    done = place.run()
    assert done.returncode == 1, done.stdout
    assert "Verdict: missed" in done.stdout.splitlines()[-5]
    folder = place.journal()
    summary = json.loads((folder / "summary.json").read_text())
    seqs = read_log(place.cluster.endpoint, summary["environment"]["topic"])
    writes = [line for line in history_of(folder) if line["kind"] == "write"]
    acknowledged = {line["seq"] for line in writes if line["outcome"] == "ok"}
    really_lost = acknowledged - set(seqs)
    assert len(really_lost) > 0
    assert summary["loss"]["lost"] == len(really_lost)
    assert summary["loss"]["recovered"] == len({line["seq"] for line in writes if line["outcome"] != "ok"} & set(seqs))
    assert summary["loss"]["duplicated"] == len(seqs) - len(set(seqs))
    judged = {one["name"]: one["verdict"] for one in summary["objectives"]}
    assert judged == {"rto": "met", "rpo": "met", "max_lost": "missed"}
