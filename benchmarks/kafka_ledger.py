"""What the ledger costs: acknowledged messages a second at full rate, with it and without, in alternating rounds.

Run ``python benchmarks/kafka_ledger.py [--rounds 5] [--seconds 8] [--bootstrap host:port,...]``; without an address it
starts a lab of its own. Each round measures three producers, the order turning with every round:

- `ledger`: the observer, whole: self-describing payloads with a checksum, a delivery report for each message, live
  figures, the record on disk. No reader beside it, since none of the others has one.
- `batch`: confluent-kafka's Producer with the same settings, payload size, topic shape and bound of what is in flight,
  queued as the observer queues (produce_batch), with one constant payload and neither callbacks nor ledger.
- `single`: the same, queued as most programs do: one produce() a message.

A rate is what was acknowledged between two instants while the load runs. The ratio is that of the medians; those of
the single rounds follow.
"""

import argparse
import json
import os
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
from chaosdrills.lab.ports import free_pair
from chaosdrills.observe.pacing import CHUNK
from chaosdrills.observe.session import ObserverSession, ObserverSpec

IN_FLIGHT = 20_000  # the default of ObserverSpec
WARM_S = 3.0
KINDS = ("ledger", "batch", "single")


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


def measure(kind: str, bootstrap: str, seconds: float) -> float:
    """One measurement in a process of its own."""
    argv = [sys.executable, __file__, "--bootstrap", bootstrap, "--seconds", str(seconds), "--kind", kind]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def compare(bootstrap: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Rates and ratios over all rounds."""
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS[number % 3 :] + KINDS[: number % 3]:
            rates[kind].append(measure(kind, bootstrap, seconds))
            print(f"round {number + 1}: {kind:7s} {rates[kind][-1]:10,.0f} messages/s", flush=True)
    medians = {kind: statistics.median(found) for kind, found in rates.items()}
    result: dict[str, Any] = {f"{kind}_per_s": round(value) for kind, value in medians.items()}
    for kind in KINDS[1:]:
        result[f"ratio_to_{kind}"] = round(medians["ledger"] / medians[kind], 3)
        pairs = zip(rates["ledger"], rates[kind], strict=True)
        result[f"ratios_to_{kind}"] = [round(ledger / bare, 3) for ledger, bare in pairs]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--bootstrap", default="")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind == "ledger":
        print(json.dumps(measure_ledger(options.bootstrap, options.seconds)))
    elif options.kind:
        print(json.dumps(measure_bare(options.kind, options.bootstrap, options.seconds)))
    elif options.bootstrap:
        print(json.dumps(compare(options.bootstrap, options.rounds, options.seconds), indent=2))
    else:
        with tempfile.TemporaryDirectory(prefix="chaosdrills-") as state:
            os.environ["XDG_STATE_HOME"] = state
            cluster = lifecycle.up("kafka", {"base_port": free_pair(100)}, owner=this_process())
            try:
                print(json.dumps(compare(cluster.endpoint, options.rounds, options.seconds), indent=2))
            finally:
                lifecycle.down("kafka")


if __name__ == "__main__":
    main()
