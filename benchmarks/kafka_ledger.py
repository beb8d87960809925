"""What the ledger costs: acknowledged messages a second at full rate, with it and without, in alternating rounds.

Run ``python benchmarks/kafka_ledger.py [--rounds 5] [--seconds 8] [--perf-test] [--bootstrap host:port,...]``; without
an address it starts a lab of its own, ``--network proxied`` on such a network. Each round measures these
producers, the order turning with every round:

- `ledger`: the observer, whole: self-describing payloads with a checksum, a delivery report for each message, live
  figures, the record on disk. No reader beside it, since none of the others has one.
- `batch`: confluent-kafka's Producer with the same settings, payload size, topic shape and bound of what is in flight,
  queued as the observer queues (produce_batch), with one constant payload and neither callbacks nor ledger.
- `single`: the same, queued as most programs do: one produce() a message.
- `perf`, with ``--perf-test``: Kafka's own kafka-producer-perf-test (artifact kafka-tools, fetched by jgo) with
  acks=all, idempotence, the same payload size, topic shape and linger, its other settings its own.

A rate is what was acknowledged between two instants while the load runs. The ratio is that of the medians; those of
the single rounds follow.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from chaosdrills.host.processes import this_process
from chaosdrills.kafka.arguments import Arguments
from chaosdrills.kafka.client import Admin, Connection, Trouble, new_producer
from chaosdrills.kafka.producing import QUEUE_MESSAGES
from chaosdrills.kafka.topics import prepare
from chaosdrills.lab import lifecycle
from chaosdrills.lab.java import find_java
from chaosdrills.lab.ports import free_pair
from chaosdrills.observe.pacing import CHUNK
from chaosdrills.observe.session import ObserverSession, ObserverSpec

IN_FLIGHT = 20_000  # the default of ObserverSpec
WARM_S = 3.0
KINDS = ("ledger", "batch", "single", "perf")
PERF_TOOLS = "org.apache.kafka:kafka-tools:4.3.1"
PERF_RECORDS = 2_000_000
PERF_WARM_RECORDS = 500_000


def measure_ledger(bootstrap: str, seconds: float) -> float:
    """Acknowledged messages a second of an observer at full rate."""
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as name:
        arguments = {"bootstrap_servers": bootstrap, "reader": False}
        spec = ObserverSpec(
            f"benchmark-{uuid.uuid4().hex[:8]}", "kafka", "chaosdrills.kafka.workload:KafkaWorkload",
            Path(name) / "record", arguments, rate_per_s=0, max_in_flight=IN_FLIGHT,
        )  # fmt: skip
        session = ObserverSession.start(spec, Path(name), 60)
        try:
            time.sleep(WARM_S)
            first, begin = session.snapshot()["acked"], time.monotonic()
            time.sleep(seconds)
            last, end = session.snapshot()["acked"], time.monotonic()
            session.abort()
        finally:
            session.close()
        Admin(Connection(bootstrap)).delete_topic(session.ready["topic"], 30)
    return float((last - first) / (end - begin))


def measure_bare(kind: str, bootstrap: str, seconds: float) -> float:
    """Acknowledged messages a second of a producer without callbacks: what was queued and is not waiting any more."""
    arguments = Arguments.of(f"benchmark-{uuid.uuid4().hex[:8]}", {"bootstrap_servers": bootstrap})
    admin = Admin(arguments.connection)
    prepare(admin, arguments, 30)
    settings = {"acks": "all", "enable.idempotence": True, "queue.buffering.max.messages": QUEUE_MESSAGES}
    producer = new_producer(arguments.connection, Trouble(), settings)
    producer.list_topics(arguments.topic, timeout=10)
    payload, topic, partitions = b"x" * arguments.payload_bytes, arguments.topic, arguments.partitions
    queued, marks = 0, []
    for until in (time.monotonic() + WARM_S, time.monotonic() + WARM_S + seconds):
        while time.monotonic() < until:
            if len(producer) > IN_FLIGHT - CHUNK:
                producer.poll(0.002)
                continue
            if kind == "batch":
                for partition in range(partitions):
                    producer.produce_batch(topic, [{"value": payload} for _ in range(CHUNK // partitions)], partition)
            else:
                for number in range(CHUNK):
                    producer.produce(topic, payload, partition=number % partitions)
            queued += CHUNK
        marks.append((queued - len(producer), time.monotonic()))
    producer.purge()
    admin.delete_topic(topic, 30)
    (first, begin), (last, end) = marks
    return float((last - first) / (end - begin))


def measure_perf_test(bootstrap: str) -> float:
    """Records a second of Kafka's own ProducerPerformance, without its first half million."""
    arguments = Arguments.of(f"benchmark-{uuid.uuid4().hex[:8]}", {"bootstrap_servers": bootstrap})
    admin = Admin(arguments.connection)
    prepare(admin, arguments, 30)
    jgo = [str(Path(sys.executable).parent / "jgo"), "--resolver", "python", "info", "modulepath", PERF_TOOLS]
    listed = subprocess.run(jgo, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    jars = [line.strip() for line in listed.splitlines() if line.strip().endswith(".jar")]
    settings = [f"bootstrap.servers={bootstrap}", "acks=all", "enable.idempotence=true", "linger.ms=25"]
    argv = [
        find_java().path, "-cp", os.pathsep.join(jars), "org.apache.kafka.tools.ProducerPerformance",
        "--topic", arguments.topic, "--num-records", str(PERF_RECORDS), "--warmup-records", str(PERF_WARM_RECORDS),
        "--record-size", str(arguments.payload_bytes), "--throughput", "-1", "--producer-props", *settings,
    ]  # fmt: skip
    printed = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    admin.delete_topic(arguments.topic, 30)
    return float(re.findall(r"([0-9.]+) records/sec", printed)[-1])


def measure(kind: str, bootstrap: str, seconds: float) -> float:
    """One measurement in a process of its own."""
    argv = [sys.executable, __file__, "--bootstrap", bootstrap, "--seconds", str(seconds), "--kind", kind]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def compare(bootstrap: str, kinds: tuple[str, ...], rounds: int, seconds: float) -> dict[str, Any]:
    """Rates and ratios over all rounds."""
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        turn = number % len(kinds)
        for kind in kinds[turn:] + kinds[:turn]:
            rates[kind].append(measure(kind, bootstrap, seconds))
            print(f"round {number + 1}: {kind:7s} {rates[kind][-1]:10,.0f} messages/s", flush=True)
    medians = {kind: statistics.median(found) for kind, found in rates.items()}
    result: dict[str, Any] = {f"{kind}_per_s": round(value) for kind, value in medians.items()}
    for kind in kinds[1:]:
        result[f"ratio_to_{kind}"] = round(medians["ledger"] / medians[kind], 3)
        pairs = zip(rates["ledger"], rates[kind], strict=True)
        result[f"ratios_to_{kind}"] = [round(ledger / bare, 3) for ledger, bare in pairs]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--bootstrap", default="")
    parser.add_argument("--network", default="plain", help="of the lab, without --bootstrap")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--perf-test", action="store_true")
    options = parser.parse_args()
    kinds = KINDS if options.perf_test else KINDS[:-1]
    if options.kind == "ledger":
        print(json.dumps(measure_ledger(options.bootstrap, options.seconds)))
    elif options.kind == "perf":
        print(json.dumps(measure_perf_test(options.bootstrap)))
    elif options.kind:
        print(json.dumps(measure_bare(options.kind, options.bootstrap, options.seconds)))
    elif options.bootstrap:
        print(json.dumps(compare(options.bootstrap, kinds, options.rounds, options.seconds), indent=2))
    else:
        with tempfile.TemporaryDirectory(prefix="chaosdrills-") as state:
            os.environ["XDG_STATE_HOME"] = state
            cluster = lifecycle.up(
                "kafka", {"base_port": free_pair(100), "network": options.network}, owner=this_process()
            )
            try:
                print(json.dumps(compare(cluster.endpoint, kinds, options.rounds, options.seconds), indent=2))
            finally:
                lifecycle.down("kafka")


if __name__ == "__main__":
    main()
